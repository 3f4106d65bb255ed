import { expect, it } from 'vitest';
import { usualBlockTokens } from '../../../src/embedded/kv/kvLayout.ts';

it.each([
  [1, 32],
  [16, 32],
  [17, 16],
  [64, 8],
  [65, 4],
  [128, 4],
  [512, 4],
])(
  'a block of a model with %d KiB of KV a token has %d tokens: at most 512 KiB, but never fewer than 4',
  (kib, tokens) => {
    const half = { type: 1, rowBytes: kib * 512 };
    expect(usualBlockTokens({ keys: [half], values: [half] })).toBe(tokens);
  },
);

it('a block of a model without rows has 32 tokens', () => {
  expect(usualBlockTokens(null)).toBe(32);
});
