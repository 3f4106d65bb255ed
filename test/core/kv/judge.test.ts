import { describe, expect, test } from 'vitest';
import type { CanaryCheck } from '../../../src/core/evidence/canaryCheck.ts';
import type { Inspection } from '../../../src/core/evidence/inspectKv.ts';
import { findingOf, isMeasure, judge, reportOf, type Judgement, type Rebuild } from '../../../src/core/kv/judge.ts';
import type { KvRecord } from '../../../src/protocol/schemas/window.ts';

const blocks = ['a', 'b'].map((hash) => ({
  hash,
  checksum: hash,
  sizeBytes: 1,
  mtimeNs: '1',
  ctimeNs: '1',
  inode: '1',
}));

const kv: KvRecord = {
  saltGeneration: 0,
  engineKind: 'vllm',
  engineVersion: '0.32.0',
  blockTokens: 16,
  hashProfile: null,
  canary: null,
  canaryIsExact: true,
  prefixCanaries: [],
  handle: null,
  kvBytes: 2,
  blocks,
};

const check = {
  checked: 2,
  hashed: 0,
  damaged: [],
  recomputed: [],
  missing: [],
  wholeAtStart: 2,
  whole: blocks,
} as const;
const frozen = { tokenId: 1, topLogprobs: [{ token: 'a', logprob: -1 }] };
const agreed: CanaryCheck = { result: 'agreed', difference: 0, noise: 0, why: null };

const proven: Inspection = {
  verdict: 'proven',
  restored: { outcome: 'on-demand', notes: [] },
  measured: {
    canary: null,
    reuse: {
      promptTokens: 33,
      cachedTokens: 32,
      cachedTokensFrom: 'usage',
      tier: 'disk',
      timeToFirstTokenMs: 1,
      serverIdle: true,
      counters: {},
    },
  },
  salt: 'of-record',
  check,
  foundLate: [],
  canary: agreed,
  canaryGrain: 'exact',
  prefixes: null,
  content: 'checksums',
  answer: 'as-frozen',
};
const judged = (change: Partial<Inspection>, record: Partial<KvRecord> = {}): Judgement =>
  judge({ ...kv, ...record }, { ...proven, ...change });

describe('what a thaw does with the KV that it inspected', () => {
  test('a record that is true stays; where only stat fields moved, they are recorded', () => {
    expect(judged({})).toEqual({ kind: 'keep', record: 'unchanged' });
    expect(judged({ check: { ...check, hashed: 1 } })).toEqual({ kind: 'keep', record: 'restat' });
  });

  test('damage is given up before all else, doubt and quite another answer as well', () => {
    expect(judged({ verdict: 'damaged', content: 'in-doubt', answer: 'another' })).toEqual({
      kind: 'give-up',
      why: 'damaged',
    });
    expect(judged({ verdict: 'partial', content: 'in-doubt' })).toEqual({ kind: 'give-up', why: 'in-doubt' });
    expect(judged({ verdict: 'unobserved', answer: 'another' })).toEqual({ kind: 'give-up', why: 'off' });
  });

  test('where nothing is claimed, nothing is recorded either', () => {
    expect(judged({ verdict: 'unobserved' })).toEqual({ kind: 'keep', record: 'unchanged' });
  });

  test('full reuse that a canary speaks for is as good as a proof, and what nothing speaks for changes no record', () => {
    const reused = { verdict: 'reused', check: null } as const;
    const blind = { blocks: [], canary: [frozen, frozen] as [typeof frozen, typeof frozen] };
    expect(judged({ ...reused, content: 'canary', salt: 'later' }, blind).kind).toBe('renew');
    for (const content of ['out-of-sight', 'unconfirmed'] as const)
      expect(judged({ ...reused, content, salt: 'later' }, blind)).toEqual({ kind: 'keep', record: 'unchanged' });
  });

  test.each<[string, Partial<Inspection>, Partial<KvRecord>]>([
    ['the salt has moved on', { salt: 'later' }, {}],
    ['a block was computed again for another window', { check: { ...check, recomputed: ['a'] } }, {}],
    ['a block is missing', { check: { ...check, whole: blocks.slice(1) } }, {}],
    ['a better canary can be had from the files', {}, { canaryIsExact: false }],
  ])('full reuse is recorded again where %s', (_, change, record) => {
    expect(judged(change, record).kind).toBe('renew');
  });

  test('what nothing speaks for does not become what later thaws are compared with', () => {
    expect(judged({ verdict: 'partial', content: 'unconfirmed' })).toEqual({
      kind: 'renew',
      plan: { canary: 'frozen', prefixes: 'still-reused', grain: 'coarse' },
    });
    expect(judged({ verdict: 'partial' })).toMatchObject({ plan: { canary: 'sealed', prefixes: 'still-reused' } });
  });

  test.each<[string, Partial<Inspection>, Partial<KvRecord>, string]>([
    ['all was computed at once', { verdict: 'rebuilt', check: null }, {}, 'as-sealed'],
    ['old files lie beside what was computed', { verdict: 'rebuilt' }, {}, 'coarse'],
    ['all came from disk', { salt: 'later' }, {}, 'as-sealed'],
    ['part was computed', { verdict: 'partial' }, {}, 'coarse'],
    ['the canary rests on whole pieces alone', { verdict: 'partial' }, { canaryTokens: 17 }, 'as-before'],
  ])(
    'the canary is compared bit for bit later on only where it is that of the files: %s',
    (_, change, record, grain) => {
      expect(judged(change, record)).toMatchObject({ kind: 'renew', plan: { grain } });
    },
  );
});

describe('what a thaw says after it gave KV up', () => {
  const giveUp = (why: 'damaged' | 'in-doubt' | 'off'): Judgement => ({ kind: 'give-up', why });

  test.each<[Judgement, Rebuild, boolean, string]>([
    [{ kind: 'keep', record: 'unchanged' }, 'as-frozen', true, 'kept'],
    [giveUp('damaged'), 'as-frozen', false, 'damaged'],
    [giveUp('damaged'), 'as-frozen', true, 'rounding'],
    [giveUp('damaged'), 'another', true, 'damaged'],
    [giveUp('damaged'), 'still-reused', true, 'damaged'],
    [giveUp('in-doubt'), 'as-frozen', false, 'rounding'],
    [giveUp('off'), 'another', true, 'off'],
  ])('%j, computed %s, explained %s: %s', (judgement, rebuild, isExplained, finding) => {
    expect(findingOf(judgement, rebuild, () => isExplained)).toBe(finding);
  });

  test('what heeds no salt cannot be given up, and neither that nor a broken engine becomes the measure', () => {
    expect(reportOf('damaged', 'still-reused', proven).repair).toBe('none');
    expect(reportOf('off', 'still-reused', proven).notes.join(' ')).not.toContain('was given up');
    expect(isMeasure('still-reused', proven)).toBe(false);
    expect(isMeasure('another', proven)).toBe(true);
    expect(isMeasure('another', { ...proven, restored: { outcome: 'rejected', notes: [] } })).toBe(false);
  });

  test('the receipt names the repair', () => {
    const damaged = { ...proven, check: { ...check, damaged: ['a'] } };
    expect(reportOf('kept', 'as-frozen', damaged)).toEqual({ notes: [], repair: 'blocks-deleted' });
    expect(reportOf('damaged', 'as-frozen', damaged)).toEqual({ notes: [], repair: 'salt-advanced' });
    expect(reportOf('rounding', 'as-frozen', proven).notes.join(' ')).toContain('was given up');
  });
});
