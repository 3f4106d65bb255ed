import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import type { Receipt } from '../../../src/protocol/schemas/receipt.ts';
import { receiptWords } from '../../../src/words/receipt.ts';
import { CachingProxy } from '../../fakes/cachingProxy.ts';
import { LyingProxy } from '../../fakes/lyingProxy.ts';
import { noteFigure } from './figures.ts';
import { blockFiles } from './fsTier.ts';
import type { ModelServer } from './guardedServer.ts';
import { blockTokens, floorOf, frozenContext, liveProduct, prose, type LiveProduct } from './liveProduct.ts';
import { vllmModel, type VllmModel } from './vllmModel.ts';
import { startVllm } from './vllmServer.ts';

/*
 * A real vLLM that publishes events about its KV blocks. One server, and one restart of it, serve all tests, in their order.
 */

const interrupted = new AbortController();
const never = interrupted.signal;

let model: VllmModel;
let folder: string;
let kvDir: string;
let events: string;
let server: ModelServer;
let gateway: CachingProxy;
let liar: LyingProxy;
let product: LiveProduct;

const start = (port?: number): Promise<ModelServer> =>
  startVllm({ model, connector: 'tiered', kvDir, eventsEndpoint: events, ...(port !== undefined && { port }) }, never);
const spec = (url: string, tier = kvDir, place = `&events=${events}`): string => `${url}#tier=${tier}${place}`;
const blocks = ({ tokens }: Receipt): number => floorOf(tokens) / blockTokens;

async function freeze(name: string, engine: string): Promise<Receipt> {
  await product.cwm.createSession({ id: name, engine });
  await product.cwm.send({ session: name, text: prose(name, 250), maxTokens: 40 }, never);
  return product.cwm.freeze({ session: name, window: name, checkpoint: true }, never);
}

async function thaw(window: string): Promise<Receipt> {
  const receipt = await product.cwm.thaw({ window }, never);
  const { verdict, cachedTokens, cachedTokensFrom, tier, ms } = receipt;
  noteFigure(
    `vLLM with events, after kill -9, ${window}: ${verdict}, ${cachedTokens} of ${floorOf(receipt.tokens)} from ${cachedTokensFrom}, tier ${tier}, ${Math.round(ms)} ms`,
  );
  return receipt;
}

beforeAll(async () => {
  model = await vllmModel('tiny', { signal: never, log: (line) => console.log(line) });
  folder = await mkdtemp(join(tmpdir(), 'cwm-events-'));
  kvDir = join(folder, 'kv');
  events = `ipc://${folder}/events.sock`;
  server = await start();
  gateway = await CachingProxy.start(server.url, 'prompt');
  liar = await LyingProxy.start(server.url, blockTokens);
  product = await liveProduct();
});
afterAll(async () => {
  interrupted.abort();
  await product[Symbol.asyncDispose]();
  await gateway[Symbol.asyncDispose]();
  await liar[Symbol.asyncDispose]();
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

test('the receipt of a freeze names the blocks by the events', async () => {
  const frozen = await freeze('in-sight', spec(server.url));
  expect(frozen).toMatchObject({ verdict: 'proven', cachedTokensFrom: 'events', cachedTokens: floorOf(frozen.tokens) });
  const [, reused] = receiptWords(frozen).evidence.find(([name]) => name === 'Reused tokens') ?? [];
  expect(reused).toBe(`${frozen.cachedTokens} (by the engine's block events: ${blocks(frozen)} blocks)`);
  expect(await freeze('out-of-sight', spec(server.url, 'off'))).toMatchObject({
    verdict: 'reused',
    cachedTokensFrom: 'events',
  });
});

test('Doctor sees that they name reused blocks; where the URL does not name them, it finds the socket', async () => {
  const eventsOf = async (engine: string) =>
    (await product.engines.get(engine).probe(never)).items.find(({ name }) => name === 'block-events');
  expect(await eventsOf(spec(server.url))).toMatchObject({ state: 'yes', remedy: '' });
  expect(await eventsOf(spec(server.url, 'off', ''))).toMatchObject({
    state: 'no',
    remedy: `Add #events=${events} to the engine's URL.`,
  });
});

test('after kill -9 the tier announces what it gives back', async () => {
  await freeze('replayed', spec(gateway.url));
  for (const [name, place] of [
    ['lied-about', `&events=${events}`],
    ['lied-about-unseen', ''],
  ] as const) {
    await freeze(name, spec(liar.url, 'off', place));
  }
  const gone = await Promise.all(
    ['lied-about', 'lied-about-unseen'].map(async (name) => (await frozenContext(product, name)).hashes),
  );
  await server.kill();
  const files = await blockFiles(kvDir);
  await Promise.all(gone.flat().map((hash) => rm(files.get(hash) ?? '', { force: true })));
  server = await start(Number(new URL(server.url).port));

  for (const [window, verdict] of [
    ['in-sight', 'proven'],
    ['out-of-sight', 'reused'],
  ] as const) {
    const thawed = await thaw(window);
    expect(thawed).toMatchObject({ verdict, cachedTokensFrom: 'events', cachedTokens: floorOf(thawed.tokens) });
    expect(thawed.tier).toBe('disk');
  }
});

test('F1 a response cache in front replays an answer: no event of this request came, so nothing was observed', async () => {
  const before = gateway.replays;
  const thawed = await thaw('replayed');
  expect(gateway.replays).toBeGreaterThan(before);
  expect(thawed).toMatchObject({ verdict: 'unobserved', cachedTokens: null });
});

test('F3 claims and counters raised alike, of contexts that were seen before, contradict the events', async () => {
  liar.isLying = true;
  const lied = await thaw('lied-about');
  expect(liar.madeUp).toBeGreaterThan(0);
  expect(lied).toMatchObject({ verdict: 'unobserved', cachedTokens: null });
  expect(lied.notes.join(' ')).toContain('contradict');
  // Without events, nothing tells such a short lie from the truth (docs/kv-evidence.md).
  await thaw('lied-about-unseen');
});
