import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { BackendEngines } from '../../src/backend/engines/backendEngines.ts';
import { UrlEngine } from '../../src/backend/engines/urlEngine.ts';
import { watchedEngine } from '../../src/backend/engines/watchedEngine.ts';
import { requireTls } from '../../src/backend/engines/requireTls.ts';
import { withRequest } from '../../src/backend/requestScope.ts';
import type { Engine } from '../../src/core/ports/engine.ts';
import type { EngineAdapter } from '../../src/engines/engineAdapter.ts';
import { FakeLlamaServer, type FakeLlamaOptions } from '../fakes/fakeLlamaServer.ts';
import { FakeVllm } from '../fakes/fakeVllm.ts';

const never = new AbortController().signal;
const context = { ids: Array.from({ length: 40 }, (_, at) => 65 + at), salt: 'salt-1', handle: null };

function engines(): BackendEngines {
  const made = new BackendEngines({
    storage: tmpdir(),
    defaultSpec: 'embedded',
    embedded: { entry: 'none', args: [] },
    log: { write: () => undefined, failure: () => undefined },
    emit: () => undefined,
  });
  onTestFinished(() => made.close());
  return made;
}

const engineAt = (spec: string): Engine => engines().get(spec);

async function fakeVllm(): Promise<FakeVllm> {
  const fake = await FakeVllm.start();
  onTestFinished(() => fake.stop());
  return fake;
}

async function fakeLlama(options: FakeLlamaOptions = {}): Promise<FakeLlamaServer> {
  const fake = await FakeLlamaServer.start(options);
  onTestFinished(() => fake.stop());
  return fake;
}

test('what only some engines can do reaches the engine behind a URL', async () => {
  type Optional = { [Name in keyof Engine]-?: undefined extends Engine[Name] ? Name : never }[keyof Engine];
  const optional: { readonly [Name in Optional]-?: NonNullable<Engine[Name]> } = {
    expect: vi.fn(),
    nextChatIds: vi.fn(async () => null),
    letPass: vi.fn(async () => null),
    slots: vi.fn(async () => null),
    leave: vi.fn(async () => null),
    isUnused: vi.fn(async () => true),
    pack: vi.fn(async () => null),
    unpack: vi.fn(async () => null),
  };
  const behind = { ...optional, probe: async () => ({}), close: async () => undefined } as unknown as Engine;
  const adapter: EngineAdapter = { places: {}, recognises: async () => true, create: () => behind };
  const connect = async () => ({ url: 'http://127.0.0.1:1' });
  const url = new UrlEngine({ spec: 'http://127.0.0.1:1', connect, places: {}, adapters: [adapter] });
  onTestFinished(() => url.close());
  const none = (): void => undefined;
  const engine = watchedEngine(url, { seen: none, failed: none, generated: none });
  await engine.probe(never);
  await engine.letPass?.('salt', never);
  await engine.slots?.(never);
  await engine.leave?.('salt', 1, never);
  await engine.nextChatIds?.({ messages: [], answer: {}, fields: {} }, never);
  await engine.isUnused?.(never);
  engine.expect?.(['hash']);
  const context = { ids: [1], salt: 'salt', handle: null };
  await engine.pack?.(context, undefined, never);
  await engine.unpack?.(context, { path: '/f', offset: 0 }, never);
  for (const method of Object.values(optional)) expect(method).toHaveBeenCalledOnce();
});

test('what a URL leads to is found by asking', async () => {
  const [vllm, llama] = [await fakeVllm(), await fakeLlama()];
  expect((await engineAt(vllm.url).describe(never)).kind).toBe('vllm');
  expect((await engineAt(llama.url).describe(never)).kind).toBe('llama-server');
  expect((await engineAt(`${llama.url}/v1`).describe(never)).kind).toBe('llama-server');
});

test('a call that comes before any description finds its engine as well, and asks once', async () => {
  const llama = await fakeLlama();
  const engine = engineAt(llama.url);
  const [, , evidence] = await Promise.all([
    engine.measure(context, never),
    engine.tokenize([{ role: 'user', content: 'x' }], true, never),
    engine.measure(context, never),
  ]);
  expect(evidence.reuse.cachedTokensFrom).toBe('timings');
  // Once to find out what it is, once to describe it.
  expect(llama.requestsTo('/v1/models')).toHaveLength(2);
});

test('the folder of slot files is taken from the URL, and the status shows the URL without it', async () => {
  const slotDir = await mkdtemp(join(tmpdir(), 'cwm-slots-'));
  onTestFinished(() => rm(slotDir, { recursive: true, force: true }));
  const llama = await fakeLlama({ slotDir });
  const registry = engines();
  const spec = `${llama.url}#slots=${slotDir}`;
  await registry.get(spec).persist(context, never);
  const location = await registry.get(spec).locate(context, never);
  expect(location.reachable && location.blocks[0]?.stat).toBeTruthy();
  expect(await registry.status(spec, never)).toMatchObject({ spec, url: llama.url, kind: 'llama-server' });
});

test('so is the folder of vLLM’s file tier', async () => {
  const rootDir = await mkdtemp(join(tmpdir(), 'cwm-tier-'));
  onTestFinished(() => rm(rootDir, { recursive: true, force: true }));
  const vllm = await FakeVllm.start({ tier: { rootDir } });
  onTestFinished(() => vllm.stop());
  const engine = engineAt(`${vllm.url}#tier=${rootDir}`);
  await engine.persist(context, never);
  const location = await engine.locate(context, never);
  expect(location.reachable && location.blocks.map(({ stat }) => stat !== null)).toEqual([true, true]);
});

test('a note names a folder that this kind of server does not use', async () => {
  const vllm = await fakeVllm();
  const { notices } = await engineAt(`${vllm.url}#slots=/tmp`).describe(never);
  expect(notices.join(' ')).toContain('"slots" in the engine\'s URL is for another kind of server');
});

test('another kind of server that takes the port is noticed with the next description', async () => {
  let target = (await fakeVllm()).url;
  // Stands for the port, which two fakes can't have one after the other.
  const port = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = chunks.length === 0 ? null : Buffer.concat(chunks);
    const answer = await fetch(target + (request.url ?? ''), { method: request.method ?? 'GET', body });
    const type = answer.headers.get('content-type') ?? '';
    response.writeHead(answer.status, { 'content-type': type }).end(await answer.text());
  });
  await new Promise<void>((resolve) => port.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void port.close());
  const engine = engineAt(`http://127.0.0.1:${(port.address() as AddressInfo).port}`);
  expect((await engine.describe(never)).kind).toBe('vllm');
  target = (await fakeLlama()).url;
  expect((await engine.describe(never)).kind).toBe('llama-server');
  target = (await fakeVllm()).url;
  expect((await engine.describe(never)).kind).toBe('vllm');
  target = (await fakeLlama()).url;
  expect((await engine.describe(never)).kind).toBe('llama-server');
  target = (await fakeVllm()).url;
  const { items } = await engine.probe(never);
  expect(items.find(({ name }) => name === 'block-files')?.remedy).toContain('#tier=DIR');
});

test('a llama-server that describes itself as before is not asked again what it is', async () => {
  const llama = await fakeLlama();
  const engine = engineAt(llama.url);
  const first = await engine.describe(never);
  const asked = llama.requestsTo('/tokenize').length;
  expect(await engine.describe(never)).toEqual(first);
  expect(llama.requestsTo('/tokenize')).toHaveLength(asked);
  expect(llama.requestsTo('/v1/models')).toHaveLength(3);
});

test('what the server behind a URL can do is tried once', async () => {
  const vllm = await fakeVllm();
  const engine = engineAt(vllm.url);
  const found = await engine.probe(never);
  expect(await engine.probe(never)).toEqual(found);
  expect(found.cost.requests).toBe(4);
  expect(vllm.requestsTo('/v1/completions')).toHaveLength(4);
});

test('a server that is down or wants a key is reported as such, whatever it is', async () => {
  const llama = await fakeLlama({ faults: { apiKey: 'right' } });
  const engine = engineAt(llama.url);
  await expect(engine.describe(never)).rejects.toMatchObject({ code: 'CWM-5006' });
  const request = { client: 'test', engineKey: 'right', engineKeyFor: llama.url };
  expect((await withRequest(request, () => engine.describe(never))).kind).toBe('llama-server');
  await llama.stop();
  await expect(engine.describe(never)).rejects.toMatchObject({ code: 'CWM-5001' });
});

test('what is no model server is refused with CWM-5005', async () => {
  const page = createServer((_, response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<html>'));
  await new Promise<void>((resolve) => page.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void page.close());
  const engine = engineAt(`http://127.0.0.1:${(page.address() as AddressInfo).port}`);
  await expect(engine.describe(never)).rejects.toMatchObject({ code: 'CWM-5005' });
});

test('slot files of a server that has gone can still be looked at and deleted', async () => {
  const slotDir = await mkdtemp(join(tmpdir(), 'cwm-slots-'));
  onTestFinished(() => rm(slotDir, { recursive: true, force: true }));
  const llama = await fakeLlama({ slotDir });
  const engine = engineAt(`${llama.url}#slots=${slotDir}`);
  const { handle } = await engine.persist(context, never);
  await llama.stop();
  const location = await engine.locate(context, never);
  expect(location.reachable).toBe(true);
  expect(await engine.forget({ hashes: [], handle }, never)).toBeGreaterThan(0);
});

test('S0-43 an abort ends the question at once', async () => {
  const llama = await fakeLlama({ faults: { http: { kind: 'silence', afterChunks: 0, path: '/v1/models' } } });
  const controller = new AbortController();
  const asked = engineAt(llama.url).describe(controller.signal);
  await llama.untilRequests('/v1/models', 1);
  controller.abort();
  await expect(asked).rejects.toMatchObject({ code: 'CWM-6003' });
});

test('K4 a model of several is chosen behind "#", and what is served is listed', async () => {
  const vllm = await fakeVllm();
  const chosen = await engineAt(`${vllm.url}#model=fake-model`).describe(never);
  expect(chosen).toMatchObject({ model: { id: 'fake-model' }, models: [{ id: 'fake-model' }] });
  await expect(engineAt(`${vllm.url}#model=other`).describe(never)).rejects.toMatchObject({ code: 'CWM-5003' });
});

test.each(['/props', '/apply-template', '/tokenize'])(
  'K1 a llama-server that refuses %s is asked as any other server of the OpenAI API',
  async (path) => {
    const llama = await fakeLlama();
    llama.faults.http = { kind: 'status', status: 403, path };
    expect((await engineAt(llama.url).describe(never)).kind).toBe('openai');
  },
);

test('S0-60 plain http to another machine is refused before anything is sent; this machine and https are not', async () => {
  for (const url of ['http://192.0.2.7:8000', 'http://models.invalid', 'http://127.0.0.1.invalid']) {
    await expect(engineAt(url).describe(never)).rejects.toMatchObject({ code: 'CWM-8004' });
  }
  for (const url of ['http://127.0.0.1:9', 'http://localhost:9', 'http://[::1]:9', 'https://models.invalid']) {
    expect(() => requireTls(url)).not.toThrow();
  }
  await expect(engineAt('http://127.0.0.1:9#lmcache=http://192.0.2.7').describe(never)).rejects.toMatchObject({
    code: 'CWM-8004',
  });
});
