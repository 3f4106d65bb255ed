import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import type { Receipt } from '../../../src/protocol/schemas/receipt.ts';
import { CachingProxy } from '../../fakes/cachingProxy.ts';
import { engineRecipes } from './engineRecipe.ts';
import { noteFigure } from './figures.ts';
import { freePort, type ModelServer } from './guardedServer.ts';
import { installedPython } from './installEngine.ts';
import { floorOf, liveProduct, prose, type LiveProduct } from './liveProduct.ts';
import { startCoordinator, startLmcache, type LmcacheServer } from './lmcacheServer.ts';
import { vllmModel, type VllmModel } from './vllmModel.ts';
import { startVllm } from './vllmServer.ts';

/*
 * A real vLLM that publishes events about its KV blocks, with a real LMCache behind it, which announces none. One set of servers, and one restart of
 * them, serve all tests, in their order.
 */

const isInstalled = installedPython(engineRecipes.lmcache) !== undefined;
if (!isInstalled) console.log('LMCache is not installed (npm run engines:install lmcache): its suite is left out.');

const interrupted = new AbortController();
const never = interrupted.signal;

let model: VllmModel;
let folder: string;
let product: LiveProduct;
let servers: { readonly coordinator: ModelServer; readonly lmcache: LmcacheServer; readonly vllm: ModelServer };
let gateway: CachingProxy;
/** What follows the window before anything was killed. */
let answer: readonly number[];
let ports: readonly [coordinator: number, lmcache: number, vllm: number];

async function start(): Promise<void> {
  const [coordinatorPort, lmcachePort, port] = ports;
  const [kvDir, coordinatorUrl] = [join(folder, 'kv'), `http://127.0.0.1:${coordinatorPort}`];
  const [coordinator, lmcache, vllm] = await Promise.all([
    startCoordinator({ stateDir: folder, port: coordinatorPort }, never),
    startLmcache({ kvDir, coordinatorUrl, port: lmcachePort }, never),
    startVllm({ model, connector: 'lmcache', lmcachePort, port, eventsEndpoint: endpoint() }, never),
  ]);
  servers = { coordinator, lmcache, vllm };
}

const endpoint = (): string => `ipc://${folder}/events.sock`;
const spec = (url: string): string => `${url}#lmcache=${servers.coordinator.url}&events=${endpoint()}`;

async function freeze(name: string, engine: string): Promise<Receipt> {
  await product.cwm.createSession({ id: name, engine });
  await product.cwm.send({ session: name, text: prose(name, 490), maxTokens: 100 }, never);
  return note('freeze', await product.cwm.freeze({ session: name, window: name, checkpoint: true }, never));
}

const goOn = async (session: string): Promise<readonly number[]> =>
  (await product.cwm.send({ session, text: 'And what follows from that?', maxTokens: 16 }, never)).outputIds;

const thaw = async (window: string): Promise<Receipt> => note('thaw', await product.cwm.thaw({ window }, never));

function note(what: string, receipt: Receipt): Receipt {
  const { window, verdict, cachedTokens, cachedTokensFrom, tokens, tier, ms } = receipt;
  noteFigure(
    `LMCache with events, ${what} of ${window}: ${verdict}, ${cachedTokens} of ${floorOf(tokens)} from ${cachedTokensFrom}, tier ${tier}, ${Math.round(ms)} ms`,
  );
  return receipt;
}

describe.skipIf(!isInstalled)('LMCache behind a vLLM with block events', () => {
  beforeAll(async () => {
    model = await vllmModel('tiny', { signal: never, log: (line) => console.log(line) });
    folder = await mkdtemp(join(tmpdir(), 'cwm-events-'));
    await mkdir(join(folder, 'kv'));
    ports = [await freePort(), await freePort(), await freePort()];
    product = await liveProduct();
    await start();
    gateway = await CachingProxy.start(servers.vllm.url, 'prompt');
  });
  afterAll(async () => {
    interrupted.abort();
    await product[Symbol.asyncDispose]();
    await gateway[Symbol.asyncDispose]();
    await Promise.all(Object.values(servers).map((server: ModelServer) => server.stop()));
    await rm(folder, { recursive: true, force: true });
  });

  test('what vLLM itself has is named block by block; what a response cache in front answered is not', async () => {
    const frozen = await freeze('seen', spec(servers.vllm.url));
    const all = { verdict: 'reused', tier: 'device', cachedTokens: floorOf(frozen.tokens), cachedTokensFrom: 'events' };
    expect(frozen).toMatchObject(all);
    expect(await thaw('seen')).toMatchObject(all);
    answer = await goOn('seen');

    await freeze('replayed', spec(gateway.url));
    expect(await thaw('replayed')).toMatchObject({ verdict: 'unobserved', cachedTokens: null, tier: null });
    expect(gateway.replays).toBeGreaterThan(0);
  });

  test('after kill -9 of all three, what LMCache gives back is counted by the usage, and events count once vLLM has it', async () => {
    const { coordinator, lmcache, vllm } = servers;
    await Promise.all([vllm.kill(), lmcache.kill(), coordinator.kill()]);
    await start();

    const fromLmcache = await thaw('seen');
    expect(fromLmcache).toMatchObject({
      verdict: 'reused',
      tier: 'external',
      cachedTokensFrom: 'usage',
      cachedTokens: floorOf(fromLmcache.tokens),
      repair: 'none',
      content: { canary: 'agreed', canaryDifference: 0 },
    });
    expect(await goOn('seen')).toEqual(answer);
    expect(await thaw('seen')).toMatchObject({ verdict: 'reused', tier: 'device', cachedTokensFrom: 'events' });
  });

  test('F1 an answer that is replayed after the restart says nothing of LMCache either', async () => {
    const before = gateway.replays;
    expect(await thaw('replayed')).toMatchObject({ verdict: 'unobserved', cachedTokens: null });
    expect(gateway.replays).toBeGreaterThan(before);
  });
});
