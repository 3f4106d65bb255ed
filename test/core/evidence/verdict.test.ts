import { describe, expect, test } from 'vitest';
import { reuseFloor } from '../../../src/core/evidence/reuse.ts';
import { decideVerdict, type VerdictEvidence } from '../../../src/core/evidence/verdict.ts';

const full: VerdictEvidence = {
  reachable: true,
  sameIdentity: true,
  promptTokens: 100,
  cachedTokens: 96,
  blockTokens: 16,
  reusedChecksums: 'agreed',
  canary: 'agreed',
  cachedTokensFrom: 'usage',
  isDamageFound: false,
  isContentOutOfSight: false,
  isContentUnconfirmed: false,
};

describe('decideVerdict', () => {
  test('reuse of the floor with nothing against it is proven', () => {
    expect(decideVerdict(full)).toBe('proven');
    expect(decideVerdict({ ...full, reusedChecksums: 'not-run', canary: 'not-run' })).toBe('proven');
  });

  test('one block less than the floor is partial', () => {
    expect(decideVerdict({ ...full, cachedTokens: 80 })).toBe('partial');
    expect(decideVerdict({ ...full, cachedTokens: 95 })).toBe('partial');
  });

  test('no reuse is rebuilt, whatever the checksums say', () => {
    expect(decideVerdict({ ...full, cachedTokens: 0, canary: 'not-run' })).toBe('rebuilt');
    expect(decideVerdict({ ...full, cachedTokens: 0, reusedChecksums: 'disagreed' })).toBe('rebuilt');
  });

  test('an engine whose fresh computation a canary speaks against is damaged', () => {
    expect(decideVerdict({ ...full, cachedTokens: 0, canary: 'disagreed' })).toBe('damaged');
  });

  test('a missing count is unobserved, never zero', () => {
    expect(decideVerdict({ ...full, cachedTokens: null })).toBe('unobserved');
    expect(decideVerdict({ ...full, promptTokens: null })).toBe('unobserved');
  });

  test('more cached than sent is a broken counter, not a proof', () => {
    expect(decideVerdict({ ...full, cachedTokens: 101 })).toBe('unobserved');
  });

  test('counters of the whole server are shown, but prove nothing of one request', () => {
    expect(decideVerdict({ ...full, cachedTokensFrom: 'metrics' })).toBe('unobserved');
    expect(decideVerdict({ ...full, cachedTokensFrom: 'timings' })).toBe('proven');
  });

  test('reuse of content that can no longer be looked at is unobserved, not proven', () => {
    expect(decideVerdict({ ...full, canary: 'not-run', isContentOutOfSight: true })).toBe('unobserved');
    expect(decideVerdict({ ...full, canary: 'disagreed', isContentOutOfSight: true })).toBe('damaged');
  });

  test('full reuse of content that nothing speaks for is unobserved; in part it is partial', () => {
    expect(decideVerdict({ ...full, canary: 'not-run', isContentUnconfirmed: true })).toBe('unobserved');
    expect(decideVerdict({ ...full, cachedTokens: 80, canary: 'not-run', isContentUnconfirmed: true })).toBe('partial');
  });

  test('what was reused beside a damaged block file may be whole, but the frozen KV was not', () => {
    expect(decideVerdict({ ...full, isDamageFound: true })).toBe('partial');
    expect(decideVerdict({ ...full, isDamageFound: true, canary: 'disagreed' })).toBe('damaged');
  });

  test('a context shorter than a block can never be proven', () => {
    expect(decideVerdict({ ...full, promptTokens: 16, cachedTokens: 1 })).toBe('partial');
  });

  test('full reuse of other content is damaged', () => {
    expect(decideVerdict({ ...full, canary: 'disagreed' })).toBe('damaged');
    expect(decideVerdict({ ...full, reusedChecksums: 'disagreed' })).toBe('damaged');
  });

  test('over the whole matrix of evidence, proven needs all of it', () => {
    const counts = [null, 0, 15, 16, 80, 95, 96, 99, 100, 101];
    const checks = ['agreed', 'disagreed', 'not-run'] as const;
    const seen = new Map<string, number>();
    for (const reachable of [true, false])
      for (const sameIdentity of [true, false])
        for (const promptTokens of [null, 1, 16, 17, 100])
          for (const cachedTokens of counts)
            for (const blockTokens of [null, 16, 32])
              for (const reusedChecksums of checks)
                for (const canary of checks)
                  for (const cachedTokensFrom of ['usage', 'metrics', 'timings', 'none'] as const)
                    for (const isDamageFound of [true, false])
                      for (const [isContentOutOfSight, isContentUnconfirmed] of [
                        [false, false],
                        [true, false],
                        [false, true],
                      ] as const) {
                        const evidence = {
                          reachable,
                          sameIdentity,
                          promptTokens,
                          cachedTokens,
                          blockTokens,
                          reusedChecksums,
                          canary,
                          cachedTokensFrom,
                          isContentOutOfSight,
                          isContentUnconfirmed,
                          isDamageFound,
                        };
                        const verdict = decideVerdict(evidence);
                        seen.set(verdict, (seen.get(verdict) ?? 0) + 1);
                        const isProof =
                          reachable &&
                          sameIdentity &&
                          promptTokens !== null &&
                          cachedTokens !== null &&
                          blockTokens !== null &&
                          reuseFloor(promptTokens, blockTokens) > 0 &&
                          cachedTokens >= reuseFloor(promptTokens, blockTokens) &&
                          cachedTokens <= promptTokens &&
                          reusedChecksums !== 'disagreed' &&
                          canary !== 'disagreed' &&
                          (cachedTokensFrom === 'usage' || cachedTokensFrom === 'timings') &&
                          !isContentOutOfSight &&
                          !isContentUnconfirmed &&
                          !isDamageFound;
                        expect({ evidence, proven: verdict === 'proven' }).toEqual({ evidence, proven: isProof });
                      }
    expect([...seen.keys()].sort()).toEqual(
      ['damaged', 'mismatch', 'partial', 'proven', 'rebuilt', 'text-only', 'unobserved'].sort(),
    );
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
