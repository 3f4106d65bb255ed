import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { discover } from '../../src/backend/discovery/discover.ts';
import { BackendEngines } from '../../src/backend/engines/backendEngines.ts';
import { findPlaces } from '../../src/backend/engines/findPlaces.ts';
import {
  listeningProcesses,
  systemProcesses,
  type ProcessView,
  type ServerProcess,
} from '../../src/backend/engines/listeningProcess.ts';
import { makeCore } from '../../src/core/core.ts';
import { systemClock } from '../../src/base/clock.ts';
import { llamaServerAdapter } from '../../src/engines/llamaServer/llamaServerAdapter.ts';
import { vllmAdapter } from '../../src/engines/vllm/vllmAdapter.ts';
import { openStore } from '../../src/store/openStore.ts';
import { FakeLlamaServer, type FakeLlamaOptions } from '../fakes/fakeLlamaServer.ts';
import { FakeVllm } from '../fakes/fakeVllm.ts';

const never = new AbortController().signal;
const me = process.getuid?.() ?? 0;
const context = { ids: Array.from({ length: 40 }, (_, at) => 65 + at), salt: 'salt-1', handle: null };

function makeFolder(): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'cwm-places-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

interface Process {
  readonly port: number;
  readonly args: readonly string[];
  /** As Linux writes it. Default: 127.0.0.1. */
  readonly address?: string;
  /** The owner of the socket by the table of the kernel. */
  readonly uid?: number;
  readonly state?: string;
  readonly namespace?: string;
  readonly directory?: string;
  readonly variables?: readonly string[];
}

/** What Linux shows of these processes. */
function fakeProc(...processes: readonly Process[]): ProcessView {
  const procFolder = makeFolder();
  const rows = { tcp: ['  sl  local_address rem_address   st'], tcp6: ['  sl'] };
  mkdirSync(path.join(procFolder, 'self/ns'), { recursive: true });
  symlinkSync('mnt:[1]', path.join(procFolder, 'self/ns/mnt'));
  for (const [index, { port, args, address = '0100007F', uid = me, state = '0A', ...rest }] of processes.entries()) {
    const folder = path.join(procFolder, String(100 + index));
    for (const name of ['fd', 'ns']) mkdirSync(path.join(folder, name), { recursive: true });
    symlinkSync('/dev/null', path.join(folder, 'fd/0'));
    symlinkSync(`socket:[${9000 + index}]`, path.join(folder, 'fd/7'));
    symlinkSync(`mnt:[${rest.namespace ?? '1'}]`, path.join(folder, 'ns/mnt'));
    symlinkSync(rest.directory ?? '/', path.join(folder, 'cwd'));
    writeFileSync(path.join(folder, 'cmdline'), args.map((arg) => `${arg}\0`).join(''));
    writeFileSync(path.join(folder, 'environ'), (rest.variables ?? []).map((line) => `${line}\0`).join(''));
    const local = `${address}:${port.toString(16).toUpperCase().padStart(4, '0')}`;
    rows[address.length > 8 ? 'tcp6' : 'tcp'].push(
      `   ${index}: ${local} 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000  ${uid}        0 ${9000 + index} 1 0 100 0`,
    );
  }
  mkdirSync(path.join(procFolder, 'net'));
  for (const [name, lines] of Object.entries(rows))
    writeFileSync(path.join(procFolder, 'net', name), `${lines.join('\n')}\n`);
  return { platform: 'linux', uid: me, procFolder, run: () => Promise.reject(new Error('no program is run')) };
}

const slotsAt = async (port: number, view: ProcessView): Promise<string | undefined> =>
  (await findPlaces(`http://127.0.0.1:${port}`, llamaServerAdapter, view)).places['slots'];

test('the slot folder is read from the command line of the process that listens, with its process id', async () => {
  const slots = makeFolder();
  const view = fakeProc({ port: 8080, args: ['llama-server', '--slot-save-path', slots, '--port', '8080'] });
  expect(await findPlaces('http://localhost:8080/v1', llamaServerAdapter, view)).toEqual({
    places: { slots },
    foundIn: { slots: 'the command line of process 100' },
    offered: {},
    kvOptions: '',
  });
});

test('all processes are looked through once for a socket, and again where its holder is gone', async () => {
  const [slots, other] = [makeFolder(), makeFolder()];
  const argsOf = (folder: string) => ['llama-server', '--slot-save-path', folder];
  const view = fakeProc({ port: 8080, args: argsOf(slots) }, { port: 9090, args: argsOf(other) });
  expect(await slotsAt(8080, view)).toBe(slots);
  // A process that nobody has looked at: it shares the socket now.
  symlinkSync('socket:[9000]', path.join(view.procFolder, '101/fd/8'));
  expect(await slotsAt(8080, view)).toBe(slots);
  rmSync(path.join(view.procFolder, '100'), { recursive: true });
  expect(await slotsAt(8080, view)).toBe(other);
});

test.each([
  ['attached with "="', (folder: string) => [`--slot-save-path=${folder}/`]],
  ['named twice, where the last one counts', (folder: string) => ['--slot-save-path', '/', '--slot-save-path', folder]],
])('the folder is found where it is %s', async (_, argsOf) => {
  const slots = makeFolder();
  expect(await slotsAt(8080, fakeProc({ port: 8080, args: argsOf(slots) }))).toBe(slots);
});

test('a relative folder is one in the directory of the process', async () => {
  const directory = makeFolder();
  mkdirSync(path.join(directory, 'slots'));
  const view = fakeProc({ port: 8080, args: ['--slot-save-path', 'slots'], directory });
  expect(await slotsAt(8080, view)).toBe(path.join(directory, 'slots'));
});

test.each([
  '00000000',
  '0100007F',
  '00000000000000000000000000000000',
  '00000000000000000000000001000000',
  '0000000000000000FFFF00000100007F',
])('a process that listens at the address %s can be the one that answers', async (address) => {
  const slots = makeFolder();
  expect(await slotsAt(8080, fakeProc({ port: 8080, args: ['--slot-save-path', slots], address }))).toBe(slots);
});

const refused: readonly [string, Partial<Process>][] = [
  ['belongs to another user', { uid: me + 1 }],
  ['listens on another port', { port: 8081 }],
  ['listens on the address of a network alone', { address: '0A00000A' }],
  ['is connected to the port and does not listen', { state: '01' }],
  ['runs in a container', { namespace: '2' }],
  ['names no folder', { args: ['llama-server', '--port', '8080'] }],
  ['ends with the option', { args: ['llama-server', '--slot-save-path'] }],
  ['names a folder that is not there', { args: ['--slot-save-path', '/nowhere/at/all'] }],
  ['names a file', { args: ['--slot-save-path', '/etc/hostname'] }],
];

test.each(refused)('nothing is found where the process %s', async (_, differs) => {
  const view = fakeProc({ port: 8080, args: ['--slot-save-path', makeFolder()], ...differs });
  expect(await findPlaces('http://127.0.0.1:8080', llamaServerAdapter, view)).toMatchObject({
    places: {},
    foundIn: {},
    offered: {},
  });
});

test.runIf(me !== 0)('nothing is found where this user cannot read the folder', async () => {
  const slots = makeFolder();
  chmodSync(slots, 0o000);
  expect(await slotsAt(8080, fakeProc({ port: 8080, args: ['--slot-save-path', slots] }))).toBeUndefined();
});

const optionsAt = async (...processes: readonly Process[]): Promise<string | undefined> =>
  (await findPlaces('http://127.0.0.1:8080', llamaServerAdapter, fakeProc(...processes))).kvOptions;

test('K6 options that decide what KV is worth are read from the command line and from variables of llama.cpp alone', async () => {
  const variables = [
    'LLAMA_ARG_CACHE_TYPE_K=q8_0',
    'LLAMA_ARG_ROPE_SCALE=4',
    'SECRET=--rope-scale 9',
    'LLAMA_API_KEY=x',
  ];
  const one = { port: 8080, args: ['llama-server', '--rope-scale', '2.0'], variables };
  expect(await optionsAt(one)).toBe('--cache-type-k q8_0 --rope-scale 2');
  expect(await optionsAt({ ...one, args: ['llama-server'], variables: [] })).toBe('');
  const seen = await listeningProcesses(8080, fakeProc(one), llamaServerAdapter.kvVariables);
  expect(Array.isArray(seen) && Object.keys((seen as readonly ServerProcess[])[0]?.variables ?? {})).toEqual([
    'LLAMA_ARG_CACHE_TYPE_K',
    'LLAMA_ARG_ROPE_SCALE',
  ]);
});

test('K6 nobody knows the options of a server in a container, of another user, or of two processes that differ', async () => {
  const one = { port: 8080, args: ['--rope-scale', '2'] };
  expect(await optionsAt({ ...one, namespace: '2' })).toBeUndefined();
  expect(await optionsAt({ ...one, uid: me + 1 })).toBeUndefined();
  expect(await optionsAt(one, { ...one, args: [], address: '00000000' })).toBeUndefined();
  expect(await optionsAt(one, { ...one, address: '00000000' })).toBe('--rope-scale 2');
});

test('K6 a server that was restarted with another type of KV is seen at the next look, also where the spec names the folder', async () => {
  const slotDir = makeFolder();
  const { fake, engines, processes } = await serve({ slotDir }, slotDir);
  const engine = engines.get(`${fake.url}#slots=${slotDir}`);
  const blockOf = async (): Promise<string | undefined> => {
    const { notices } = await engine.describe(never);
    const location = await engine.locate(context, never);
    return location.reachable ? `${location.blocks[0]?.hash} ${notices.length}` : undefined;
  };
  const before = await blockOf();
  writeFileSync(path.join(processes.procFolder, '100/cmdline'), 'llama-server\0-ctk\0q8_0\0');
  expect((await engine.describe(never)).notices.join(' ')).toContain('its start options --cache-type-k q8_0');
  expect(await blockOf()).not.toBe(before);
  writeFileSync(path.join(processes.procFolder, '100/cmdline'), 'llama-server\0-ctk\0f16\0');
  expect(await blockOf()).toBe(before);
});

test('two processes on one port that name different folders leave the question open', async () => {
  const [one, two] = [makeFolder(), makeFolder()];
  const of = (folder: string, address: string) => ({ port: 8080, args: ['--slot-save-path', folder], address });
  expect(await slotsAt(8080, fakeProc(of(one, '0100007F'), of(two, '00000000')))).toBeUndefined();
  expect(await slotsAt(8080, fakeProc(of(one, '0100007F'), of(one, '00000000')))).toBe(one);
});

test('a server on another machine is never looked at', async () => {
  const view = fakeProc({ port: 8080, args: ['--slot-save-path', makeFolder()] });
  for (const url of ['http://10.0.0.1:8080', 'https://127.0.0.1:8080'])
    expect((await findPlaces(url, llamaServerAdapter, view)).places).toEqual({});
});

test('the file tier of vLLM is read from its transfer configuration, also inside of another connector', async () => {
  const tier = makeFolder();
  const offloading = {
    kv_connector: 'OffloadingConnector',
    kv_connector_extra_config: { secondary_tiers: [{ type: 'fs', root_dir: tier }] },
  };
  const multi = { kv_connector: 'MultiConnector', kv_connector_extra_config: { connectors: [offloading] } };
  const two = { a: offloading, b: { type: 'fs', root_dir: makeFolder() } };
  const found = async (config: string, option = '--kv-transfer-config') => {
    const view = fakeProc({ port: 8000, args: ['vllm', 'serve', option, config] });
    return (await findPlaces('http://127.0.0.1:8000', vllmAdapter, view)).places['tier'];
  };
  expect(await found(JSON.stringify(offloading))).toBe(tier);
  expect(await found(JSON.stringify(multi), '--kv_transfer_config')).toBe(tier);
  for (const config of [JSON.stringify(two), '{', '[]', 'null']) expect(await found(config)).toBeUndefined();
});

function fakeMac(lsof: string, ps: string): ProcessView {
  const run = async (program: string): Promise<string> => (program === 'lsof' ? lsof : ps);
  return { platform: 'darwin', uid: 501, procFolder: '/none', run };
}

test('on macOS, lsof names the process and ps its command line, in which a folder can contain spaces', async () => {
  const folder = path.join(makeFolder(), 'my slots');
  mkdirSync(folder);
  const line = `llama-server -m a.gguf --slot-save-path ${folder} --port 8080 -v\n`;
  expect(await slotsAt(8080, fakeMac('p77\nu501\n', line))).toBe(folder);
  expect(await slotsAt(8080, fakeMac('p77\nu502\n', line))).toBeUndefined();
  expect(await slotsAt(8080, fakeMac('', line))).toBeUndefined();
  expect(await slotsAt(8080, fakeMac('p77\nu501\n', 'llama-server --slot-save-path relative'))).toBeUndefined();
});

test('what was not looked at is said to be so', async () => {
  const windows: ProcessView = { platform: 'win32', uid: undefined, procFolder: '', run: async () => '' };
  expect(await listeningProcesses(8080, windows)).toEqual({
    why: 'On this system the command line of a server was not looked at.',
  });
  expect(await listeningProcesses(8080, fakeProc())).toEqual({ why: 'No process of this user listens on port 8080.' });
  const broken: ProcessView = {
    ...fakeMac('p77\nu501\n', ''),
    run: (it) => (it === 'ps' ? Promise.reject(new Error()) : Promise.resolve('p77\nu501\n')),
  };
  expect(await listeningProcesses(8080, broken)).toEqual({ why: 'The processes of this machine cannot be looked at.' });
});

test.runIf(process.platform === 'linux')(
  'on this machine, the process of this test is found by its socket',
  async () => {
    const fake = await FakeLlamaServer.start();
    onTestFinished(() => fake.stop());
    const found = await listeningProcesses(Number(new URL(fake.url).port), systemProcesses());
    expect(Array.isArray(found) && found.map(({ pid }) => pid)).toEqual([process.pid]);
  },
);

async function serve(options: FakeLlamaOptions, named: string) {
  const fake = await FakeLlamaServer.start(options);
  const port = Number(new URL(fake.url).port);
  const processes = fakeProc({ port, args: ['llama-server', '--slot-save-path', named] });
  const engines = new BackendEngines({
    storage: tmpdir(),
    defaultSpec: fake.url,
    embedded: { entry: 'none', args: [] },
    processes,
    log: { write: () => undefined, failure: () => undefined },
    emit: () => undefined,
  });
  onTestFinished(async () => {
    await engines.close();
    await fake.stop();
  });
  return { fake, port, engines, processes };
}

test("S0-61 another program's request takes a real server's only slot: what it may reuse is asked of the engine behind the URL", async () => {
  const folder = makeFolder();
  const { fake, engines } = await serve({}, folder);
  const engine = engines.get(fake.url);
  await engine.measure(context, never);
  const pass = async (salt: string) => (await engine.letPass?.(salt, never))?.mayReuse;
  expect([await pass(context.salt), await pass('salt-2'), await pass('salt-2')]).toEqual([true, false, true]);
});

test.each([
  ['ipc:///run/user/1000/vllm events.sock', { events: 'ipc:///run/user/1000/vllm events.sock' }],
  // An address with "*" is open to every machine, and events hold salts in the clear; without, vLLM connects to it.
  ['tcp://*:5557', {}],
  ['ipc://*', {}],
  [7, {}],
])('events that vLLM publishes at %j are proposed, not used', async (endpoint, offered) => {
  const config = JSON.stringify({ enable_kv_cache_events: true, publisher: 'zmq', endpoint });
  const view = fakeProc({ port: 8000, args: ['vllm', 'serve', 'm', '--kv_events_config', config] });
  expect(await findPlaces('http://127.0.0.1:8000', vllmAdapter, view)).toEqual({ places: {}, foundIn: {}, offered });
});

test.each([
  JSON.stringify({ enable_kv_cache_events: false, endpoint: 'ipc:///a' }),
  JSON.stringify({ enable_kv_cache_events: true, publisher: 'null', endpoint: 'ipc:///a' }),
  'null',
  '{',
])('a vLLM started with --kv-events-config %s publishes nothing', async (config) => {
  const view = fakeProc({ port: 8000, args: ['vllm', 'serve', 'm', '--kv-events-config', config] });
  expect((await findPlaces('http://127.0.0.1:8000', vllmAdapter, view)).offered).toEqual({});
});

test('a thaw is proven where nobody named the slot folder', async () => {
  const slotDir = makeFolder();
  const { fake, engines } = await serve({ slotDir }, slotDir);
  const store = await openStore({ directory: makeFolder(), clock: systemClock });
  const files = { read: () => Promise.reject(new Error('no file is read here')) };
  const core = makeCore({
    store,
    engines,
    clock: systemClock,
    changes: { emit: () => undefined },
    files,
    checkpoints: { shutdownMs: 0 },
  });
  onTestFinished(async () => {
    await core.close();
    await store.close();
  });
  await core.createSession({ id: 's', engine: fake.url });
  await core.send({ session: 's', text: 'Hello over there, and then some more.', maxTokens: 8 }, never);
  expect(await core.freeze({ session: 's', window: 'w' }, never)).toMatchObject({ verdict: 'proven' });
  expect(await core.thaw({ window: 'w' }, never)).toMatchObject({
    verdict: 'proven',
    content: { checksums: 'agreed' },
  });
  // The probe's own file is gone again: one window, one file.
  expect(readdirSync(slotDir)).toHaveLength(1);
  const { notices } = await engines.get(fake.url).describe(never);
  expect(notices.join(' ')).toContain(`${slotDir}, found in the command line of process 100. #slots=off`);
  const { items } = await engines.get(fake.url).probe(never);
  expect(items.find(({ name }) => name === 'block-files')).toMatchObject({
    state: 'yes',
    found: expect.stringContaining('found in the command line of process 100') as string,
  });
});

test('a folder that a server names and does not save into is not used, and the reason is said', async () => {
  const [slotDir, other] = [makeFolder(), makeFolder()];
  const { fake, engines } = await serve({ slotDir }, other);
  const engine = engines.get(fake.url);
  const { notes } = await engine.persist(context, never);
  expect(notes.join(' ')).toContain('a file that the server saved did not appear there');
  expect(await engine.locate(context, never)).toMatchObject({ reachable: false });
  const { items } = await engine.probe(never);
  expect(items.find(({ name }) => name === 'block-files')).toMatchObject({ state: 'no' });
  // The server is asked once, not at each look: the probe's file and the context's own.
  const requests = [0, 1].flatMap((slot) => fake.requestsTo(`/slots/${slot}`));
  const names = requests.flatMap(({ body }) => (body as { readonly filename?: string }).filename ?? []);
  expect(new Set(names).size).toBe(2);
});

test('a folder that was found stays in doubt while the server saves nothing', async () => {
  const slotDir = makeFolder();
  const { fake, engines } = await serve({ slotDir, faults: { save: 'fails' } }, slotDir);
  const location = await engines.get(fake.url).locate(context, never);
  expect(location).toMatchObject({ reachable: false, why: expect.stringContaining('was not tried:') as string });
});

test('a server that is down leaves the folder in doubt, without an error', async () => {
  const slotDir = makeFolder();
  const { fake, engines } = await serve({ slotDir }, slotDir);
  const engine = engines.get(fake.url);
  await engine.describe(never);
  await fake.stop();
  expect(await engine.locate(context, never)).toMatchObject({
    reachable: false,
    why: expect.stringContaining('was not tried yet') as string,
  });
});

test.each(['off', 'another folder'])('a place in the spec wins over what would be found: %s', async (given) => {
  const [slotDir, other] = [makeFolder(), makeFolder()];
  const { fake, engines } = await serve({ slotDir }, slotDir);
  const engine = engines.get(`${fake.url}#slots=${given === 'off' ? given : other}`);
  expect((await engine.describe(never)).notices.join(' ')).not.toContain('found in');
  await engine.persist(context, never);
  const location = await engine.locate(context, never);
  expect(location.reachable && location.blocks[0]?.stat).toBe(given === 'off' ? false : null);
});

test.each(['saves there', 'saves elsewhere', 'refuses to save'] as const)(
  'discovery proposes the folder that the command line names only where a file of the server is seen in it: it %s',
  async (kind) => {
    const named = path.join(makeFolder(), 'a & b');
    mkdirSync(named);
    const slotDir = kind === 'saves elsewhere' ? makeFolder() : named;
    const { fake, port } = await serve(
      { slotDir, ...(kind === 'refuses to save' && { faults: { save: 'fails' } }) },
      named,
    );
    const processes = fakeProc({ port, args: ['llama-server', '--slot-save-path', named] });
    const machine = {
      platform: 'linux',
      env: {},
      home: makeFolder(),
      memoryBytes: 1e12,
      ports: { [port]: 'x' },
    } as const;
    const { servers } = await discover({ ...machine, processes }, undefined, never);
    const url = `http://127.0.0.1:${new URL(fake.url).port}`;
    expect(servers).toMatchObject([
      { kind: 'llama-server', spec: kind === 'saves there' ? `${url}#slots=${path.dirname(named)}/a%20%26%20b` : url },
    ]);
    expect(readdirSync(named), 'nothing is left behind').toEqual([]);
  },
);

test('discovery proposes the plain URL of vLLM, whose tier can show no file without a computation', async () => {
  const tier = makeFolder();
  const fake = await FakeVllm.start({});
  onTestFinished(() => fake.stop());
  const port = Number(new URL(fake.url).port);
  const config = JSON.stringify({ kv_connector_extra_config: { type: 'fs', root_dir: tier } });
  const processes = fakeProc({ port, args: ['vllm', '--kv-transfer-config', config] });
  const machine = {
    platform: 'linux',
    env: {},
    home: makeFolder(),
    memoryBytes: 1e12,
    ports: { [port]: 'x' },
  } as const;
  const { servers } = await discover({ ...machine, processes }, undefined, never);
  expect(servers).toMatchObject([{ kind: 'vllm', spec: `http://127.0.0.1:${port}` }]);
});
