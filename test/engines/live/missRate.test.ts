import { expect, test } from 'vitest';
import { missRates, upperBound, type Flip } from './missRate.ts';

test('no miss in 3,000 leaves a rate below 1 in 1,000, no miss in 2,000 does not', () => {
  expect(upperBound(0, 3_000)).toBeLessThan(0.001);
  expect(upperBound(0, 2_000)).toBeGreaterThan(0.001);
  expect(upperBound(2, 24)).toBeCloseTo(0.24, 2);
  expect(upperBound(5, 5)).toBe(1);
});

test('a miss is a flip that moved the answer and that the check did not see', () => {
  const flip = (isSeen: boolean, hasMoved: boolean, isWrong = false): Flip => ({
    seenBy: { canary: isSeen },
    hasMoved,
    isWrong,
  });
  const flips = [flip(true, true), flip(false, false), flip(false, true), flip(false, true, true)];
  expect(missRates(flips)).toMatchObject([
    { check: 'canary', flips: 4, moving: 3, misses: 2, wrongUnseen: 1, rate: 0.5 },
  ]);
});
