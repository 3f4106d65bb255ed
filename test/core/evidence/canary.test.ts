import { describe, expect, test } from 'vitest';
import { canaryDifference, isBeyondNoise } from '../../../src/core/evidence/canary.ts';
import { isExplainedByRounding } from '../../../src/core/evidence/canaryCheck.ts';
import type { Canary } from '../../../src/protocol/schemas/receipt.ts';

const canary = (tokenId: number, ...logprobs: [string, number][]): Canary => ({
  tokenId,
  topLogprobs: logprobs.map(([token, logprob]) => ({ token, logprob })),
});
const frozen = canary(7, ['a', -7.154434], ['b', -7.293884]);

describe('canaryDifference', () => {
  test('equal answers are zero apart', () => {
    expect(canaryDifference(frozen, structuredClone(frozen))).toBe(0);
  });

  test('which of two near-equal tokens leads is no difference of its own', () => {
    const other = canary(8, ['b', -7.2], ['a', -7.21]);
    expect(canaryDifference(frozen, other)).toBeCloseTo(0.093884, 6);
  });

  test('answers with none of the likeliest tokens in common are infinitely far apart', () => {
    expect(canaryDifference(frozen, canary(8, ['c', -7.154434], ['d', -7.293884]))).toBe(Infinity);
  });

  test('the difference that a zeroed block made on a real server is found', () => {
    const zeroed = canary(7, ['a', -7.154069], ['b', -7.317108]);
    expect(isBeyondNoise(canaryDifference(frozen, zeroed), 0)).toBe(true);
  });

  test('printing a float does not count as a difference', () => {
    const printed = canary(7, ['a', -7.1544342], ['b', -7.2938838]);
    expect(isBeyondNoise(canaryDifference(frozen, printed), 0)).toBe(false);
  });

  test('a token that only one of them lists is held against the least likely of the other', () => {
    const swapped = canary(7, ['a', -7.154434], ['c', -7.2]);
    expect(canaryDifference(frozen, swapped)).toBeCloseTo(0.093884, 6);
    expect(canaryDifference(swapped, frozen)).toBeCloseTo(0.093884, 6);
  });

  test("a difference within the engine's own noise is none", () => {
    expect(isBeyondNoise(0.01, 0.02)).toBe(false);
    expect(isBeyondNoise(0.03, 0.02)).toBe(true);
  });
});

describe('isExplainedByRounding', () => {
  const off = (tokenId: number, nats: number) => canary(tokenId, ['a', -7.154434 + nats], ['b', -7.293884]);

  test('what is off by about as much as a fresh computation is rounding, whichever token leads', () => {
    expect(isExplainedByRounding(frozen, off(8, 0.02), off(7, 0.003))).toBe(true);
    expect(isExplainedByRounding(frozen, off(7, 0.04), off(8, 0.003))).toBe(false);
  });

  test('a gross difference never is', () => {
    expect(isExplainedByRounding(frozen, off(7, 0.6), off(7, 0.4))).toBe(false);
  });
});
