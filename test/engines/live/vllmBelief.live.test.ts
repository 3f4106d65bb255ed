import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { LyingProxy } from '../../fakes/lyingProxy.ts';
import { noteFigure } from './figures.ts';
import { blockFiles } from './fsTier.ts';
import type { ModelServer } from './guardedServer.ts';
import { blockTokens, floorOf, liveProduct, prose, seen } from './liveProduct.ts';
import { vllmModel, type VllmModel } from './vllmModel.ts';
import { startVllm } from './vllmServer.ts';

/* What is believed of a real vLLM without events, its block files in sight and whole. */

const never = new AbortController().signal;
const trials = 3;

let model: VllmModel;
let folder: string;
let kvDir: string;
let server: ModelServer;

beforeAll(async () => {
  model = await vllmModel('tiny', { signal: never, log: (line) => console.log(line) });
  folder = await mkdtemp(join(tmpdir(), 'cwm-liar-'));
  kvDir = join(folder, 'kv');
  server = await startVllm({ model, connector: 'tiered', kvDir, threads: 1 }, never);
});
afterAll(async () => {
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

test('Doctor sees a block of its own in the tier, before the first file there is, and in no other folder', async () => {
  await using product = await liveProduct();
  const tierOf = async (directory: string) => {
    const { items } = await product.engines.get(seen(server.url, directory)).probe(never);
    return items.find(({ name }) => name === 'block-files');
  };
  expect(await tierOf(kvDir)).toMatchObject({ state: 'yes' });
  expect((await blockFiles(kvDir)).size).toBe(0);
  expect(await tierOf(folder)).toMatchObject({ state: 'unknown', found: expect.stringContaining('config.json') });
});

/* Behind something that computes everything and claims, in its answers and in the counters alike, that all of it was reused. */
test.each([
  [304, 155],
  [3_000, 1_530],
])(
  'F3 a server that begins to lie after an honest claim is never proven, over about %d tokens',
  async (about, words) => {
    const seenWords: string[] = [];
    const seenTokens: number[] = [];
    for (let trial = 0; trial < trials; trial++) {
      // What one product has learned of a server must not help the next.
      await using product = await liveProduct();
      await using liar = await LyingProxy.start(server.url, blockTokens, 'all');
      const window = `about-${about}-${trial}`;
      await product.cwm.createSession({ id: window, engine: seen(liar.url, kvDir) });
      await product.cwm.send({ session: window, text: prose(window, words), maxTokens: 8 }, never);
      const frozen = await product.cwm.freeze({ session: window, window, checkpoint: true }, never);
      expect(frozen.verdict).toBe('proven');
      expect(await product.cwm.thaw({ window }, never)).toMatchObject({
        verdict: 'proven',
        cachedTokens: floorOf(frozen.tokens),
      });

      liar.isLying = true;
      for (let thaw = 0; thaw < 2; thaw++) {
        const { verdict, cachedTokens, tokens } = await product.cwm.thaw({ window }, never);
        seenWords.push(String(verdict));
        seenTokens.push(tokens);
        expect(verdict, `${tokens} tokens, ${cachedTokens} reused`).not.toBe('proven');
      }
      expect(liar.madeUp).toBeGreaterThanOrEqual(floorOf(frozen.tokens));
      if (trial === 0) expect(Math.abs(frozen.tokens - about)).toBeLessThan(about / 4);
    }
    noteFigure(
      `vLLM behind a liar without events, ${[...new Set(seenTokens)].join(', ')} tokens: ${seenWords.join(', ')}`,
    );
  },
);
