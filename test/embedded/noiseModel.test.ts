import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { byteTokens, mergesOf } from '../../src/embedded/noiseModel/bytePairs.ts';
import { defaultNoiseShape, noiseModelBytes } from '../../src/embedded/noiseModel/noiseModel.ts';
import { defaultNoiseSha256 } from '../../src/embedded/noiseModel/noiseModelFile.ts';
import { halfBits, RandomWeights } from '../../src/embedded/noiseModel/randomWeights.ts';
import { mergedTokens, wordFragments } from '../../src/embedded/noiseModel/vocabulary.ts';
import { smallShape } from './support/smallModel.ts';

const hashOf = (shape: typeof smallShape): string => {
  const hash = createHash('sha256');
  for (const bytes of noiseModelBytes(shape)) hash.update(bytes);
  return hash.digest('hex');
};

describe('the generated model', () => {
  it('has the same bytes on every machine: those that a stored one is checked against', () => {
    expect(hashOf(defaultNoiseShape)).toBe(defaultNoiseSha256);
  });

  it('is another one with another seed', () => {
    expect(hashOf(smallShape)).toBe(hashOf(smallShape));
    expect(hashOf({ ...smallShape, seed: smallShape.seed + 1 })).not.toBe(hashOf(smallShape));
  });

  it('has every token once', () => {
    const tokens = [...byteTokens, ...mergedTokens];
    expect(new Set(tokens).size).toBe(tokens.length);
    expect(mergedTokens.filter((token) => wordFragments.has(token))).toHaveLength(wordFragments.size);
  });

  it('has an unambiguous vocabulary: each token is one merge of two tokens before it', () => {
    expect(mergesOf(mergedTokens).map((merge) => merge.join(''))).toEqual(mergedTokens);
  });

  it('refuses a vocabulary whose merges are ambiguous', () => {
    expect(() => mergesOf(['ab', 'abcd'])).toThrow(RangeError);
    expect(() => mergesOf(['ab', 'ab'])).toThrow(RangeError);
  });
});

describe('random weights', () => {
  it('have the mean and the deviation that were asked for', () => {
    const bits = new Uint16Array(100_000);
    new RandomWeights(3).fillHalf(bits, 2);
    const values = Array.from(bits, fromHalf);
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
    expect(mean).toBeCloseTo(0, 1);
    expect(Math.sqrt(variance)).toBeCloseTo(2, 1);
  });

  it.each([
    [0, 0x0000],
    [1, 0x3c00],
    [-2, 0xc000],
    [65_504, 0x7bff],
    [1e6, 0x7c00],
    [2 ** -14, 0x0400],
    [2 ** -24, 0x0001],
    [1 / 3, 0x3555],
    [1e-9, 0x0000],
  ])('are rounded to half precision: %d', (value, bits) => {
    expect(halfBits(value)).toBe(bits);
  });
});

function fromHalf(bits: number): number {
  const magnitude = bits & 0x7fff;
  const value =
    magnitude < 0x400 ? magnitude * 2 ** -24 : (1 + (magnitude & 0x3ff) / 1024) * 2 ** ((magnitude >> 10) - 15);
  return bits & 0x8000 ? -value : value;
}
