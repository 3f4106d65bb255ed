import { describe, expect, test } from 'vitest';
import { askOverPrefixes } from '../../../src/core/evidence/prefixCanaries.ts';
import type { KvContext, Measurement } from '../../../src/core/ports/engine.ts';
import { FakeEngine } from '../fakeEngine.ts';
import { never } from '../coreFixture.ts';

const context = { ids: Array.from({ length: 42 }, (_, index) => index), salt: 'salt', handle: null, blockTokens: 4 };

/** An engine that has computed the context, and one answer more or less askew each time. */
async function engineWith(skew: (measured: Measurement, asked: number) => Measurement): Promise<FakeEngine> {
  const engine = new FakeEngine();
  await engine.measure(context, never());
  let asked = 0;
  const measure = engine.measure.bind(engine);
  engine.measure = async (context: KvContext, signal: AbortSignal) => skew(await measure(context, signal), asked++);
  return engine;
}

describe('canaries over beginnings of a context', () => {
  test('lie a quarter of its blocks apart, with one token beyond each that is left to compute', async () => {
    const engine = await engineWith((measured) => measured);
    const asked = await askOverPrefixes(engine, context, never());
    expect(asked.map(({ tokens, noise }) => [tokens, noise])).toEqual([
      [2 * 4 + 1, 0],
      [5 * 4 + 1, 0],
      [7 * 4 + 1, 0],
    ]);
  });

  test('a context of one block has none', async () => {
    const engine = await engineWith((measured) => measured);
    expect(await askOverPrefixes(engine, { ...context, ids: context.ids.slice(0, 6) }, never())).toEqual([]);
  });

  test('are left out where something was computed again, or nobody says', async () => {
    for (const cachedTokens of [0, null]) {
      const engine = await engineWith(({ reuse, canary }) => ({ reuse: { ...reuse, cachedTokens }, canary }));
      expect(await askOverPrefixes(engine, context, never())).toEqual([]);
    }
  });

  test('are left out where the answers have nothing in common', async () => {
    const engine = await engineWith(({ reuse, canary }, asked) => ({
      reuse: { ...reuse, serverIdle: false },
      canary: canary && { ...canary, topLogprobs: [{ token: `${asked}`, logprob: -1 }] },
    }));
    expect(await askOverPrefixes(engine, context, never())).toEqual([]);
  });

  test('on a busy server record how far the answers are apart', async () => {
    const engine = await engineWith(({ reuse, canary }, asked) => ({
      reuse: { ...reuse, serverIdle: false },
      canary: canary && {
        ...canary,
        topLogprobs: canary.topLogprobs.map(({ token, logprob }) => ({ token, logprob: logprob + asked * 1e-3 })),
      },
    }));
    for (const { noise } of await askOverPrefixes(engine, context, never())) expect(noise).toBeCloseTo(4e-3);
    expect(engine.calls.filter((call) => call === 'measure')).toHaveLength(1 + 3 * 5);
  });
});
