import { describe, expect, test } from 'vitest';
import { reuseFloor } from '../../../src/core/evidence/reuse.ts';
import { decideVerdict, type RequestEvidence } from '../../../src/core/evidence/verdict.ts';

const full: RequestEvidence = {
  kind: 'request',
  promptTokens: 100,
  cachedTokens: 96,
  cachedTokensFrom: 'usage',
  blockTokens: 16,
  files: 'whole',
  content: 'checksums',
  ids: 'exact',
};
const verdictOf = (change: Partial<RequestEvidence>) => decideVerdict({ ...full, ...change });

describe('decideVerdict', () => {
  test('without an answer the text is all there is; another model is a mismatch', () => {
    expect(decideVerdict({ kind: 'no-answer' })).toBe('text-only');
    expect(decideVerdict({ kind: 'another-model' })).toBe('mismatch');
  });

  test('reuse of the floor with nothing against it is proven', () => {
    expect(verdictOf({})).toBe('proven');
  });

  test.each(['canary', 'unchecked', 'out-of-sight', 'unconfirmed'] as const)(
    'full reuse of content that no checksum spoke for is reused, not proven: %s',
    (content) => {
      expect(verdictOf({ content })).toBe('reused');
      expect(verdictOf({ content, cachedTokens: 80 })).toBe('partial');
    },
  );

  test('F4 ids that were worked out from the text may not be those of the conversation: reused at most', () => {
    expect(verdictOf({ ids: 'worked-out' })).toBe('reused');
  });

  test('one block less than the floor is partial', () => {
    expect(verdictOf({ cachedTokens: 80 })).toBe('partial');
    expect(verdictOf({ cachedTokens: 95 })).toBe('partial');
  });

  test('no reuse is rebuilt, whatever the files say', () => {
    expect(verdictOf({ cachedTokens: 0, content: 'unconfirmed' })).toBe('rebuilt');
    expect(verdictOf({ cachedTokens: 0, files: 'damaged' })).toBe('rebuilt');
  });

  test('an engine whose fresh computation a canary speaks against is damaged', () => {
    expect(verdictOf({ cachedTokens: 0, content: 'disagreed' })).toBe('damaged');
  });

  test('a missing count is unobserved, never zero', () => {
    expect(verdictOf({ cachedTokens: null })).toBe('unobserved');
    expect(verdictOf({ promptTokens: null })).toBe('unobserved');
  });

  test('more cached than sent is a broken counter, not a proof', () => {
    expect(verdictOf({ cachedTokens: 101 })).toBe('unobserved');
  });

  test('counters of the whole server are shown, but prove nothing of one request', () => {
    expect(verdictOf({ cachedTokensFrom: 'metrics' })).toBe('unobserved');
    expect(verdictOf({ cachedTokensFrom: 'timings' })).toBe('proven');
  });

  test('what was reused beside a damaged block file may be whole, but the frozen KV was not', () => {
    expect(verdictOf({ files: 'damaged' })).toBe('partial');
    expect(verdictOf({ files: 'damaged', content: 'disagreed' })).toBe('damaged');
  });

  test('a context shorter than a block can never be proven', () => {
    expect(verdictOf({ promptTokens: 16, cachedTokens: 1 })).toBe('partial');
  });

  test('full reuse of other content is damaged', () => {
    expect(verdictOf({ content: 'disagreed' })).toBe('damaged');
  });

  test('over the whole matrix of evidence, proven needs all of it', () => {
    const counts = [null, 0, 15, 16, 80, 95, 96, 99, 100, 101];
    const contents = ['checksums', 'canary', 'unchecked', 'out-of-sight', 'unconfirmed', 'disagreed'] as const;
    const seen = new Set<string>();
    for (const promptTokens of [null, 1, 16, 17, 100])
      for (const cachedTokens of counts)
        for (const blockTokens of [null, 16, 32])
          for (const content of contents)
            for (const cachedTokensFrom of ['usage', 'metrics', 'timings', 'none'] as const)
              for (const files of ['whole', 'damaged'] as const) {
                const evidence = { promptTokens, cachedTokens, blockTokens, content, cachedTokensFrom, files };
                const verdict = verdictOf(evidence);
                seen.add(verdict);
                const isProof =
                  promptTokens !== null &&
                  cachedTokens !== null &&
                  blockTokens !== null &&
                  reuseFloor(promptTokens, blockTokens) > 0 &&
                  cachedTokens >= reuseFloor(promptTokens, blockTokens) &&
                  cachedTokens <= promptTokens &&
                  (cachedTokensFrom === 'usage' || cachedTokensFrom === 'timings') &&
                  content === 'checksums' &&
                  files === 'whole';
                expect({ evidence, proven: verdict === 'proven' }).toEqual({ evidence, proven: isProof });
              }
    expect([...seen].sort()).toEqual(['damaged', 'partial', 'proven', 'rebuilt', 'reused', 'unobserved']);
  });
});

describe('reuseFloor', () => {
  test.each([
    [0, 16, 0],
    [1, 16, 0],
    [16, 16, 0],
    [17, 16, 16],
    [8192, 32, 8160],
    [8193, 32, 8192],
  ])('of %i tokens in blocks of %i at most %i can be reused: never the last token', (tokens, block, floor) => {
    expect(reuseFloor(tokens, block)).toBe(floor);
  });
});
