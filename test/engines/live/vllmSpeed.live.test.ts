import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect, test } from 'vitest';

import type { Receipt } from '../../../src/protocol/schemas/receipt.ts';
import { fetchAlone } from './fetchAlone.ts';
import { noteFigure } from './figures.ts';
import { floorOf, liveProduct, prose, seen } from './liveProduct.ts';
import { vllmModel } from './vllmModel.ts';
import { startVllm } from './vllmServer.ts';

const never = new AbortController().signal;
/** Of the text that makes a context of about 6,000 tokens. */
const words = 3_150;
/** On a machine that does other things as well, the least of a few is what the server takes. */
const thaws = 3;

test('about 6,000 tokens on the 12-layer model, frozen, killed and thawed: proven from disk; the ratio is noted', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'cwm-live-'));
  const kvDir = join(folder, 'kv');
  const model = await vllmModel('mid', { signal: never, log: (line) => console.log(line) });
  await using product = await liveProduct();
  let server = await startVllm({ model, connector: 'tiered', kvDir }, never);
  try {
    const { cwm } = product;
    const engine = seen(server.url, kvDir);
    /** The first request after a start pays for the start. */
    const warmUp = async (id: string): Promise<void> => {
      await cwm.createSession({ id, engine });
      await cwm.send({ session: id, text: prose(id, 60), maxTokens: 2 }, never);
      await cwm.freeze({ session: id, window: id }, never);
    };
    await warmUp('before');
    await cwm.createSession({ id: 'long', engine });
    const cold = await cwm.send({ session: 'long', text: prose('a long one', words), maxTokens: 8 }, never);
    expect(cold.cachedTokens).toBe(0);
    expect((await cwm.freeze({ session: 'long', window: 'long', checkpoint: true }, never)).verdict).toBe('proven');
    const next = { session: 'long', text: 'And what follows from that?', maxTokens: 8 };
    // The first of two leaves a block more in the cache: what is computed in another piece is rounded otherwise.
    await cwm.thaw({ window: 'long', session: 'twin' }, never);
    await cwm.send({ ...next, session: 'twin' }, never);
    const undamaged = await cwm.send(next, never);

    await server.kill();
    const port = Number(new URL(server.url).port);
    server = await startVllm({ model, connector: 'tiered', kvDir, port, devMode: true }, never);
    await warmUp('after');
    const receipts: Receipt[] = [];
    while (receipts.length < thaws) {
      const receipt = await cwm.thaw({ window: 'long' }, never);
      expect(receipt).toMatchObject({
        verdict: 'proven',
        tier: 'disk',
        content: { checksums: 'agreed', canary: 'agreed', canaryDifference: 0 },
      });
      // Of a context of whole blocks the tier serves the last one too.
      expect(receipt.cachedTokens).toBeGreaterThanOrEqual(floorOf(receipt.tokens));
      receipts.push(receipt);
      // Memory of the device and of the host forget all; the files stay.
      await fetchAlone(`${server.url}/reset_prefix_cache?reset_external=true`, { method: 'POST' });
    }
    const answer = await cwm.send({ ...next, session: receipts[0]?.session ?? '' }, never);
    expect(answer.cachedTokens).toBe(undamaged.cachedTokens);
    expect(answer.outputIds).toEqual(undamaged.outputIds);

    const coldMs = cold.timeToFirstTokenMs ?? 0;
    const thawMs = Math.min(...receipts.map((receipt) => receipt.timeToFirstTokenMs ?? Infinity));
    noteFigure(
      `vLLM, 12 layers, ${cold.promptTokens} tokens: first token after ${Math.round(coldMs)} ms cold, after ${Math.round(thawMs)} ms thawed from disk (${Math.round(coldMs / thawMs)} ×, the best of ${thaws}); the whole thaw took ${Math.round(Math.min(...receipts.map(({ ms }) => ms)))} ms`,
    );
  } finally {
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  }
});
