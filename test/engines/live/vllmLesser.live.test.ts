import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import type { Capability, CapabilityName } from '../../../src/protocol/schemas/capabilities.ts';
import type { Receipt } from '../../../src/protocol/schemas/receipt.ts';
import { CachingProxy } from '../../fakes/cachingProxy.ts';
import { noteFigure } from './figures.ts';
import type { ModelServer } from './guardedServer.ts';
import { blind, floorOf, liveProduct, prose, type LiveProduct } from './liveProduct.ts';
import { vllmModel, type VllmModel } from './vllmModel.ts';
import { startVllm } from './vllmServer.ts';

/*
 * Real vLLM servers that keep less, tell less, or mix conversations up: what the product makes of them, and that it says so.
 */

const interrupted = new AbortController();
const never = interrupted.signal;
const question = 'And what follows from that?';

let model: VllmModel;
let product: LiveProduct;

beforeAll(async () => {
  model = await vllmModel('tiny', { signal: never, log: (line) => console.log(line) });
  product = await liveProduct();
});
afterAll(async () => {
  interrupted.abort();
  await product[Symbol.asyncDispose]();
});

async function freeze(server: ModelServer, name: string, text: string, maxTokens = 40): Promise<Receipt> {
  await product.cwm.createSession({ id: name, engine: blind(server.url) });
  await product.cwm.send({ session: name, text, maxTokens }, never);
  return product.cwm.freeze({ session: name, window: name, checkpoint: true }, never);
}

const thaw = (window: string): Promise<Receipt> => product.cwm.thaw({ window }, never);
const goOn = async (session: string): Promise<readonly number[]> =>
  (await product.cwm.send({ session, text: question, maxTokens: 16 }, never)).outputIds;

async function probed(server: ModelServer): Promise<(name: CapabilityName) => Capability | undefined> {
  const { items, cost } = await product.engines.get(blind(server.url)).probe(never);
  noteFigure(
    `vLLM, a probe: ${cost.requests} requests of ${cost.promptTokens} tokens in all, ${Math.round(cost.ms)} ms`,
  );
  return (name) => items.find((item) => item.name === name);
}

describe('a server without a tier', () => {
  let server: ModelServer;
  let undamaged: readonly number[];

  beforeAll(async () => {
    server = await startVllm({ model, connector: 'none', promptTokensDetails: false }, never);
  });
  afterAll(() => server.stop());

  test('without --enable-prompt-tokens-details nothing is claimed, and the flag is named', async () => {
    const frozen = await freeze(server, 'untold', prose('kept in memory', 250));
    expect(frozen.verdict).toBe('unobserved');
    const thawed = await thaw('untold');
    expect(thawed).toMatchObject({ verdict: 'unobserved', repair: 'none' });
    expect(thawed.notes.join(' ')).toContain('--enable-prompt-tokens-details');
    undamaged = await goOn(thawed.session);

    await product.cwm.createSession({ id: 'talked', engine: blind(server.url) });
    for (const turn of ['one', 'two', 'three'])
      await product.cwm.send({ session: 'talked', text: prose(`turn ${turn}`, 40), maxTokens: 20 }, never);
    await product.cwm.freeze({ session: 'talked', window: 'talked', checkpoint: true }, never);
    await product.cwm.clone({ window: 'talked', target: 'talked-clone' }, never);
  });

  test('a probe of it says the same, and that there is no tier', async () => {
    const capability = await probed(server);
    expect(capability('reuse-told')).toMatchObject({
      state: 'no',
      remedy: expect.stringContaining('--enable-prompt-tokens-details'),
    });
    // The counters of a server that nobody else uses tell it all the same.
    expect(capability('reuse')?.state).toBe('yes');
    expect(capability('isolation')?.state).toBe('yes');
    expect(capability('persistence')?.state).toBe('no');
  });

  test('after kill -9 nothing is left: rebuilt, and warm from then on', async () => {
    await server.kill();
    // Its memory has room for one long window only.
    server = await startVllm(
      { model, connector: 'none', port: Number(new URL(server.url).port), maxModelLen: 1024, deviceBlocks: 36 },
      never,
    );
    const rebuilt = await thaw('untold');
    expect(rebuilt).toMatchObject({ verdict: 'rebuilt', cachedTokens: 0, repair: 'none' });
    const warm = await thaw('untold');
    expect(warm).toMatchObject({ verdict: 'reused', tier: 'device', cachedTokens: floorOf(warm.tokens) });
    expect(await goOn(warm.session)).toEqual(undamaged);
  });

  test("what a clone's thaw computed again, all at once instead of turn by turn, is not taken for damage", async () => {
    expect((await thaw('talked-clone')).verdict).toBe('rebuilt');
    const { verdict, cachedTokens, content } = await thaw('talked');
    expect(['reused', 'rebuilt']).toContain(verdict);
    noteFigure(
      `vLLM, a window thawed after its clone's thaw had computed it again: ${verdict}, ${cachedTokens} reused, canary off by ${content.canaryDifference}`,
    );
  });

  test('what another window pushed out of a small cache is computed again, and counted as that', async () => {
    const other = await freeze(server, 'pushes', prose('another long one', 300));
    expect(other.verdict).toBe('reused');
    const pushedOut = await thaw('untold');
    expect(['partial', 'rebuilt']).toContain(pushedOut.verdict);
    expect(pushedOut.cachedTokens).toBeLessThan(floorOf(pushedOut.tokens));
    expect(await goOn(pushedOut.session)).toEqual(undamaged);
    noteFigure(
      `vLLM, a cache too small, no tier: ${pushedOut.verdict}, ${pushedOut.cachedTokens} of ${floorOf(pushedOut.tokens)} reused`,
    );
  });
});

test('one that counts nothing and tells no block size is tried out before its word counts, and is reused then', async () => {
  const server = await startVllm({ model, connector: 'none', logStats: false }, never);
  try {
    expect((await product.engines.get(blind(server.url)).describe(never)).blockTokens).toBeNull();
    const frozen = await freeze(server, 'uncounted', prose('counted by nobody', 250));
    expect(frozen).toMatchObject({ verdict: 'reused', blockTokens: 32, cachedTokensFrom: 'usage' });
    expect(await thaw('uncounted')).toMatchObject({ verdict: 'reused', cachedTokens: floorOf(frozen.tokens) });
  } finally {
    await server.stop();
  }
});

test('a response cache in front replays the answers of the freeze after a restart without KV: no reuse is claimed', async () => {
  let server = await startVllm({ model, connector: 'none' }, never);
  try {
    for (const key of ['whole body', 'prompt'] as const) {
      await using gateway = await CachingProxy.start(server.url, key);
      const name = `replayed-by-${key.replace(' ', '-')}`;
      await product.cwm.createSession({ id: name, engine: gateway.url });
      await product.cwm.send({ session: name, text: prose(name, 250), maxTokens: 40 }, never);
      const frozen = await product.cwm.freeze({ session: name, window: name, checkpoint: true }, never);
      await server.kill();
      server = await startVllm({ model, connector: 'none', port: Number(new URL(server.url).port) }, never);
      const before = gateway.replays;
      const { verdict, cachedTokens } = await thaw(name);
      noteFigure(
        `vLLM behind a response cache by ${key}: frozen ${frozen.verdict}, thawed after a restart without KV ${verdict}, ` +
          `${cachedTokens} claimed, ${gateway.replays - before} answers replayed`,
      );
      expect(['rebuilt', 'unobserved']).toContain(verdict);
      // A cache by the whole body knows none of the requests; one that ignores the nonce is what the counters are read for.
      if (key === 'prompt') expect(gateway.replays).toBeGreaterThan(before);
    }
  } finally {
    await server.stop();
  }
});

test('ExampleConnector ignores the salt: a probe finds it, and says what to change', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'cwm-live-'));
  try {
    await using server = await startVllm({ model, connector: 'example', kvDir: join(folder, 'kv') }, never);
    // The second conversation, under a salt of its own, hits the KV of the first.
    const text = prose('asked twice', 150);
    await freeze(server, 'first', text, 1);
    await product.cwm.createSession({ id: 'second', engine: blind(server.url) });
    const { cachedTokens, promptTokens } = await product.cwm.send({ session: 'second', text, maxTokens: 1 }, never);
    expect(cachedTokens).toBe(floorOf(promptTokens));

    const capability = await probed(server);
    expect(capability('reuse')?.state).toBe('yes');
    expect(capability('isolation')).toMatchObject({
      state: 'no',
      found: expect.stringContaining('The connector ignores the cache salt'),
      remedy: expect.stringContaining('OffloadingConnector'),
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
