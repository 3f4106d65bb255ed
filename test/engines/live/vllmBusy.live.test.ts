import { afterAll, beforeAll, expect, test } from 'vitest';

import { noteFigure } from './figures.ts';
import type { ModelServer } from './guardedServer.ts';
import { blind, liveProduct, prose, type LiveProduct } from './liveProduct.ts';
import { complete } from './rawVllm.ts';
import { vllmModel } from './vllmModel.ts';
import { startVllm } from './vllmServer.ts';

/*
 * What others compute at the same time moves the last bits of a real vLLM's answers: more rows in a batch, other sums. That must not be
 * taken for damage.
 */

const interrupted = new AbortController();
const never = interrupted.signal;
const windows = ['one', 'two', 'three', 'four'];

let server: ModelServer;
let product: LiveProduct;
let modelName: string;

beforeAll(async () => {
  const model = await vllmModel('tiny', { signal: never, log: (line) => console.log(line) });
  modelName = model.name;
  server = await startVllm({ model, connector: 'none' }, never);
  product = await liveProduct();
});
afterAll(async () => {
  interrupted.abort();
  await product[Symbol.asyncDispose]();
  await server.stop();
});

/** Three others who keep the server answering, until it is disposed of. */
function others(): AsyncDisposable {
  const ended = new AbortController();
  const chatter = async (first: number): Promise<void> => {
    for (let round = 0; !ended.signal.aborted; round++) {
      const promptIds = Array.from({ length: 60 }, (_, index) => 300 + ((first + 7 * round + index) % 1_000));
      await complete(server.url, { model: modelName, promptIds, maxTokens: 100 });
    }
  };
  const all = Promise.all([1, 2, 3].map((index) => chatter(index * 100)));
  // The disposal throws what failed; until then it is no unhandled rejection.
  all.catch(() => undefined);
  return {
    [Symbol.asyncDispose]: async () => {
      ended.abort();
      await all;
    },
  };
}

/** @returns whether the server was idle, for each. */
async function thawAll(when: string): Promise<(boolean | null)[]> {
  const idle: (boolean | null)[] = [];
  for (const window of windows) {
    const { verdict, cachedTokens, floorTokens, serverIdle, content } = await product.cwm.thaw({ window }, never);
    noteFigure(
      `vLLM, ${when}: ${verdict}, ${cachedTokens} of ${floorTokens} reused, canary ${content.canary} (${content.canaryDifference})`,
    );
    idle.push(serverIdle);
    // Where not one answer was the same it is computed again, to be sure, and where they were all over the place nothing is claimed.
    expect(['reused', 'rebuilt', 'unobserved']).toContain(verdict);
    expect(content.canary).not.toBe('disagreed');
  }
  return idle;
}

test('KV that is whole is never called damaged because others use the server', async () => {
  const freeze = async (window: string): Promise<void> => {
    await product.cwm.createSession({ id: window, engine: blind(server.url) });
    await product.cwm.send({ session: window, text: prose(window, 200), maxTokens: 40 }, never);
    const { verdict } = await product.cwm.freeze({ session: window, window, checkpoint: true }, never);
    expect(verdict).toBe('reused');
  };
  for (const window of windows.slice(0, 2)) await freeze(window);
  {
    await using _ = others();
    for (const window of windows.slice(2)) await freeze(window);
    expect(await thawAll('thawed while others use it')).toContain(false);
  }
  await thawAll('thawed when idle again');
});
