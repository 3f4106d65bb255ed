import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { FakeLlamaServer } from '../fakes/fakeLlamaServer.ts';
import { FakeVllm } from '../fakes/fakeVllm.ts';
import { engineRecipes } from '../engines/live/engineRecipe.ts';
import { installedPython } from '../engines/live/installEngine.ts';
import { llamaModel } from '../engines/live/llamaModel.ts';
import { startLlamaServer } from '../engines/live/llamaServer.ts';
import {
  killProcess,
  makePlace,
  runNode,
  runScript,
  windowsCli,
  within,
  type Place,
  type WindowsCli,
} from './windowsMachine.ts';

interface Started {
  readonly storage: Place;
  readonly work: Place;
  readonly cwm: WindowsCli;
}

interface BackendRecord {
  readonly pid: number;
  readonly address: string;
  readonly token: string;
}

/** Nothing listens there. */
const noServer = ['--engine', 'http://127.0.0.1:9'];
const never = new AbortController().signal;
const cleanups: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const cleanUp of cleanups.splice(0).reverse()) await cleanUp();
});

function start(storageName = 'storage'): Started {
  const work = makePlace();
  const storage = within(work, storageName);
  const cwm = windowsCli(storage, work);
  cleanups.push(() => cwm.run('stop'));
  return { storage, work, cwm };
}

async function startVllm(): Promise<FakeVllm> {
  const server = await FakeVllm.start();
  cleanups.push(() => server.stop());
  return server;
}

const recordOf = (storage: Place): BackendRecord =>
  JSON.parse(readFileSync(within(storage, 'backend.json').here, 'utf8')) as BackendRecord;

/** Asks a backend on its pipe, as any process of the machine can. */
async function ask(
  { address, token }: { readonly address: string; readonly token: string | undefined },
  route: string,
  at: Place,
): Promise<{ readonly status: number; readonly body: string }> {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const options = JSON.stringify({ socketPath: address, path: route, headers });
  const script = `const { get } = require('node:http');
    get(${options}, async (answer) => {
      const body = Buffer.concat(await answer.toArray()).toString();
      console.log(JSON.stringify({ status: answer.statusCode, body }));
    });`;
  return (await runScript(script, at)) as { status: number; body: string };
}

const statusOf = async (cwm: WindowsCli): Promise<BackendRecord> =>
  (await cwm.json('status')) as unknown as BackendRecord;

describe('the product on Windows', () => {
  it('starts its backend with the first command, uses it for the next, and ends it when asked', async () => {
    const { cwm, storage } = start();
    await cwm.json('session', 'new', '--id', 'one', ...noServer);
    const { pid } = recordOf(storage);
    expect(await cwm.json('status')).toMatchObject({ pid, sessions: 1, storage: storage.there });
    expect(await cwm.json('stop')).toEqual({ stopped: true, pid });
    expect(await cwm.json('stop')).toEqual({ stopped: false, pid: null });
  });

  it('answers on a named pipe, and there only to requests with the token of its record', async () => {
    const { cwm, storage, work } = start();
    await cwm.json('session', 'new', '--id', 'one', ...noServer);
    const { address, token } = recordOf(storage);
    expect(address).toMatch(/^\\\\\.\\pipe\\cwm-/);
    const asked = await Promise.all(
      [undefined, 'wrong', token].map((one) => ask({ address, token: one }, '/api/health', work)),
    );
    expect(asked.map(({ status }) => status)).toEqual([403, 403, 200]);
  });

  it('lets one backend hold a storage directory, and the next one take over when the holder was killed', async () => {
    const { cwm, storage, work } = start();
    await cwm.json('session', 'new', '--id', 'one', ...noServer);
    const first = recordOf(storage).pid;
    const second = await cwm.run('serve', '--json');
    expect({ code: second.code, pid: recordOf(storage).pid }).toEqual({ code: 1, pid: first });
    await killProcess(first, work);
    expect(await cwm.json('session', 'list')).toMatchObject({ total: 1 });
    expect(recordOf(storage).pid).not.toBe(first);
  });

  it('gives two clients that start at once the same backend, and each shows what the other made', async () => {
    const { cwm } = start();
    await Promise.all(['one', 'two'].map((id) => cwm.json('session', 'new', '--id', id, ...noServer)));
    const [a, b] = await Promise.all([statusOf(cwm), statusOf(cwm)]);
    expect(a).toMatchObject({ pid: b.pid, sessions: 2 });
  });

  it('loses no acknowledged word when the backend is killed', async () => {
    const { cwm, storage, work } = start();
    const { url } = await startVllm();
    await cwm.json('session', 'new', '--id', 'one', '--engine', url);
    const { text } = await cwm.json('send', 'one', 'Remember the 7 herons.', '--max-tokens', '8');
    await cwm.json('state', 'set', 'one', 'plan', '"count herons"');
    await killProcess(recordOf(storage).pid, work);
    expect(await cwm.json('state', 'get', 'one')).toMatchObject({ data: { plan: 'count herons' } });
    const { body } = await ask(recordOf(storage), '/api/contexts/one/messages', work);
    expect(body).toContain('Remember the 7 herons.');
    expect(body).toContain(JSON.stringify(text));
    expect(await cwm.json('verify')).toMatchObject({ healthy: true });
  });

  it('does every operation of the store: its renames over files that others read, its deletions, its migrations of the key', async () => {
    const { cwm } = start();
    const { url } = await startVllm();
    await cwm.json('session', 'new', '--id', 'one', '--engine', url);
    await cwm.json('send', 'one', 'Hello.', '--max-tokens', '4');
    await cwm.json('freeze', 'one', 'w', '--checkpoint');
    await cwm.json('clone', 'w', 'copy');
    await cwm.json('pin', 'w');
    await cwm.json('unpin', 'w');
    await cwm.json('state', 'recovery-points', 'one', '--add');
    await cwm.json('state', 'go-back', 'one');
    await cwm.json('delete', 'copy');
    const [deleted] = (await cwm.json('trash', 'list'))['items'] as { id: string }[];
    await cwm.json('trash', 'restore', String(deleted?.id));
    expect(await cwm.json('list')).toMatchObject({ total: 2 });
    await cwm.json('prune', '--keep', '1');
    await cwm.json('trash', 'empty');
    await cwm.json('usage');
    await cwm.json('encryption', 'on');
    expect(await cwm.json('encryption', 'status')).toMatchObject({ state: 'on' });
    await cwm.json('encryption', 'off');
    expect(await cwm.json('list')).toMatchObject({ total: 1 });
    expect(await cwm.json('verify')).toMatchObject({ healthy: true });
  });

  it("takes names that Windows reserves, and storage at a path longer than Windows' old limit", async () => {
    const { cwm } = start(['deep', ...Array.from({ length: 6 }, (_, n) => `${n}${'x'.repeat(48)}`)].join('\\'));
    const { url } = await startVllm();
    const names = ['con', 'NUL', 'n'.repeat(64)];
    await cwm.json('session', 'new', '--id', 'prn', '--engine', url);
    await cwm.json('send', 'prn', 'Hello.', '--max-tokens', '4');
    for (const name of names) await cwm.json('freeze', 'prn', name, '--checkpoint');
    await cwm.json('stop');
    const { items } = (await cwm.json('list')) as unknown as { items: { name: string }[] };
    expect(items.map(({ name }) => name).toSorted()).toEqual(names.toSorted());
    expect(await cwm.json('thaw', 'con', '--session', 'nul')).toMatchObject({ session: 'nul', window: 'con' });
    expect(await cwm.json('verify')).toMatchObject({ healthy: true });
  });

  it('says why when it may not write to the folder of its storage', async () => {
    const work = makePlace();
    const there = process.platform === 'win32' ? 'C:\\System Volume Information\\cwm' : 'Z:\\sys\\kernel\\cwm';
    const cwm = windowsCli({ here: '', there }, work);
    expect(await cwm.refusal('session', 'list')).toMatchObject({ code: 'CWM-4001' });
  });

  it('adds files by their Windows paths, and names them with slashes from the project', async () => {
    const { cwm, work } = start();
    const { url } = await startVllm();
    const project = within(work, 'My Project');
    mkdirSync(within(project, 'src').here, { recursive: true });
    writeFileSync(within(project, 'src', 'one.ts').here, 'export const one = 1;\r\n');
    writeFileSync(within(project, '.gitignore').here, 'out\\\nbuild/\n');
    mkdirSync(within(project, 'build').here);
    writeFileSync(within(project, 'build', 'two.js').here, 'never');
    await cwm.json('session', 'new', '--id', 'one', '--engine', url, '--project', project.there);
    expect(await cwm.json('session', 'show', 'one')).toMatchObject({
      project: expect.stringMatching(/^file:\/\/\/C:\//i),
    });
    const { files } = await cwm.json('prime', 'one', project.there);
    expect(files).toMatchObject([{ path: 'My Project/.gitignore' }, { path: 'My Project/src/one.ts' }]);
  });

  it('freezes and thaws against a vLLM and a llama-server on loopback', async () => {
    const { cwm, work } = start();
    const vllm = await startVllm();
    const slotDir = within(work, 'slots');
    mkdirSync(slotDir.here);
    const llama = await FakeLlamaServer.start({ slotDir: slotDir.here });
    cleanups.push(() => llama.stop());
    const text = 'The herons of the northern lake count to seven. '.repeat(12);
    for (const [id, spec] of [
      ['v', vllm.url],
      ['l', `${llama.url}#slots=${slotDir.there}`],
    ] as const) {
      await cwm.json('session', 'new', '--id', id, '--engine', spec);
      await cwm.json('send', id, text, '--max-tokens', '4');
      await cwm.json('freeze', id, `w-${id}`);
    }
    expect(await cwm.json('thaw', 'w-v')).toMatchObject({ verdict: expect.stringMatching(/^(proven|reused)$/) });
    expect(await cwm.json('thaw', 'w-l')).toMatchObject({ verdict: expect.stringMatching(/^(proven|reused)$/) });
    expect(readdirSync(slotDir.here)).not.toEqual([]);
  });

  it.skipIf(installedPython(engineRecipes['llama-server']) === undefined)(
    'freezes, and thaws after a restart, against a real llama-server on loopback',
    async () => {
      const { cwm, work } = start();
      const slotDir = within(work, 'slots');
      mkdirSync(slotDir.here);
      const model = { modelPath: await llamaModel({ signal: never }), slotDir: slotDir.here, servedName: 'tiny' };
      let server = await startLlamaServer(model, never);
      cleanups.push(() => server.stop());
      const spec = `${server.url}#slots=${slotDir.there}`;
      await cwm.json('session', 'new', '--id', 'one', '--engine', spec);
      await cwm.json('send', 'one', 'The herons of the northern lake count to seven. '.repeat(12), '--max-tokens', '4');
      await cwm.json('freeze', 'one', 'w');
      await server.kill();
      server = await startLlamaServer({ ...model, port: Number(new URL(server.url).port) }, never);
      const { session, verdict, cachedTokens, floorTokens } = await cwm.json('thaw', 'w');
      expect({ verdict, cachedTokens }).toEqual({ verdict: 'proven', cachedTokens: floorTokens });
      expect(await cwm.json('send', String(session), 'And the gulls?', '--max-tokens', '4')).toMatchObject({
        text: expect.any(String),
      });
    },
  );

  it('names what a package without an engine for this platform cannot do', async () => {
    const { cwm, work } = start();
    if ((await runNode(['-e', "require('node-llama-cpp')"], work)).code === 0) return;
    await cwm.json('session', 'new', '--id', 'one', '--engine', 'embedded');
    expect(await cwm.refusal('send', 'one', 'Hello.')).toMatchObject({ code: expect.stringMatching(/^CWM-50/) });
  });
});
