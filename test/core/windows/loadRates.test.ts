import { expect, test } from 'vitest';
import { LoadRates } from '../../../src/core/windows/checkpoints/loadRates.ts';

test('what loading KV will take follows from the last load of the same engine', () => {
  const rates = new LoadRates();
  expect(rates.expectedMs('a', 1_000)).toBeNull();
  rates.observe('a', { bytes: 1_000, ms: 10 });
  expect(rates.expectedMs('a', 2_000)).toBe(20);
  rates.observe('a', { bytes: 2_000, ms: 10 });
  expect(rates.expectedMs('a', 2_000)).toBe(10);
  expect(rates.expectedMs('b', 2_000)).toBeNull();
});

test('a tiny load, which takes mostly what every request takes, does not make a large one look dearer than computing', () => {
  const rates = new LoadRates();
  rates.observe('a', { bytes: 1_000, ms: 50 });
  expect(rates.expectedMs('a', 100_000)).toBeNull();
  rates.observe('a', { bytes: 100_000, ms: 80 });
  rates.observe('a', { bytes: 1_000, ms: 50 });
  expect(rates.expectedMs('a', 100_000)).toBe(80);
});
