import { expect, it } from 'vitest';
import { usualBlockTokens } from '../../../src/embedded/kv/state/kvLayout.ts';

it.each([
  [1, 32],
  [32, 32],
  [33, 16],
  [64, 16],
  [65, 8],
  [128, 8],
  [512, 8],
])(
  'a block of a model with %d KiB of KV a token has %d tokens: at most 1 MiB, but never fewer than 8',
  (kib, tokens) => {
    const half = { type: 1, rowBytes: kib * 512 };
    expect(usualBlockTokens({ keys: [half], values: [half] })).toBe(tokens);
  },
);

it('a block of a model without rows has 32 tokens', () => {
  expect(usualBlockTokens(null)).toBe(32);
});
