import { describe, expect, it } from 'vitest';
import type { ReuseEvidence } from '../../../src/core/ports/engine.ts';
import { reuseFields, reuseNotes, withSummary } from '../../../src/core/windows/receipts.ts';
import type { Receipt } from '../../../src/protocol/schemas/receipt.ts';
import { aReceipt } from '../../support/aReceipt.ts';

const reuse = (changes: Partial<ReuseEvidence> = {}): ReuseEvidence => ({
  promptTokens: 100,
  cachedTokens: 96,
  cachedTokensFrom: 'usage',
  tier: 'disk',
  timeToFirstTokenMs: 4,
  serverIdle: true,
  counters: { hits: 96 },
  ...changes,
});

describe('what a receipt says of one request', () => {
  it('is what was measured, and the most that could be reused', () => {
    expect(reuseFields(reuse(), 16)).toEqual({
      promptTokens: 100,
      cachedTokens: 96,
      cachedTokensFrom: 'usage',
      floorTokens: 96,
      blockTokens: 16,
      timeToFirstTokenMs: 4,
      serverIdle: true,
      counters: { hits: 96 },
    });
    expect(reuseFields(reuse({ cachedTokens: 80 }), 16, 80).floorTokens).toBe(80);
    // Of two requests, one reused more.
    expect(reuseFields(reuse({ cachedTokens: 84 }), 16, 80).floorTokens).toBe(84);
    expect(reuseFields(reuse(), null).floorTokens).toBeNull();
    expect(reuseFields(reuse({ cachedTokens: 99 }), 16).floorTokens).toBe(99);
    expect(reuseFields(reuse({ cachedTokens: 400 }), 16).floorTokens).toBe(96);
  });

  it('S0-14 is unknown, never 0, where nothing was asked', () => {
    expect(reuseFields(null, 16)).toEqual({
      promptTokens: null,
      cachedTokens: null,
      cachedTokensFrom: 'none',
      floorTokens: null,
      blockTokens: 16,
      timeToFirstTokenMs: null,
      serverIdle: null,
      counters: {},
    });
  });
});

describe('a count that is no evidence', () => {
  it.each<[string, Partial<ReuseEvidence>, RegExp]>([
    ['F2 took as long as computing', { isTooSlow: true }, /took as long as computing the context takes/],
    ['F1 came from something in front', { isFromElsewhere: true }, /a response cache, say\. Connect/],
    ['came without events', { isUnannounced: true }, /none of this request arrived/],
    ['F3 is contradicted by events', { isContradicted: true }, /own events contradict its claim of reuse/],
    [
      'counts all clients',
      { cachedTokensFrom: 'metrics', cachedTokens: 1096, promptTokens: 2000 },
      /1,096 of 2,000 tokens were reused, but .* --enable-prompt-tokens-details/,
    ],
  ])('because it %s says so', (_, changes, note) => {
    expect(reuseNotes(reuse(changes))).toEqual([expect.stringMatching(note)]);
  });

  it('has no note where it is evidence', () => {
    expect(reuseNotes(reuse())).toEqual([]);
  });
});

describe('the result in one sentence', () => {
  const summaryOf = (changes: Parameters<typeof aReceipt>[0]): string => withSummary(aReceipt(changes)).summary;
  const content = aReceipt().content;
  const some = { promptTokens: 1000, cachedTokens: 960, tokens: 1000 };

  it.each<[Partial<Receipt>, string]>([
    [{ operation: 'clone' }, 'Cloned: both windows share all 1,000 tokens, and no KV was written.'],
    [{ operation: 'freeze' }, 'Frozen: 1,000 tokens. The KV is on disk and can be reused.'],
    [
      { operation: 'checkpoint', tier: 'device' },
      'Checkpoint: 1,000 tokens. The KV can be reused. Whether it survives a server restart was not observed.',
    ],
    [
      { operation: 'freeze', verdict: 'reused', content: { ...content, checksums: 'not-run' } },
      'Frozen: 1,000 tokens. The KV is on disk and can be reused. A thaw cannot check its content.',
    ],
    [
      { operation: 'freeze', verdict: 'reused', tier: null, content: { ...content, checksums: 'not-run' } },
      'Frozen: 1,000 tokens. The KV can be reused. A thaw cannot check its content, and whether it survives a server restart was not observed.',
    ],
    [
      { operation: 'freeze', verdict: 'reused' },
      'Frozen: 1,000 tokens. The KV can be reused. The files are whole, but the server did not return all token ids: they were worked out from the text, and may be others.',
    ],
    [{ operation: 'freeze', verdict: 'partial' }, 'Frozen: 1,000 tokens. Only 960 of 1,000 tokens can be reused.'],
    [
      { operation: 'freeze', verdict: 'rebuilt' },
      'Frozen: 1,000 tokens. The text is safe. The model server reused nothing, so a thaw computes the whole context again.',
    ],
    [
      { operation: 'freeze', verdict: 'rebuilt', cachedTokens: 0, tokens: 21, floorTokens: 0, blockTokens: 32 },
      'Frozen: 21 tokens. The text is safe. The context is too short to be reused: this model server reuses blocks of 32 tokens, and never the last token, so it takes 33 tokens at least. A thaw computes the whole context.',
    ],
    [
      { operation: 'freeze', verdict: 'unobserved' },
      'Frozen: 1,000 tokens. The text is safe. The model server does not say whether its KV can be reused.',
    ],
    [
      { operation: 'checkpoint', verdict: 'unobserved', promptTokens: null, cachedTokens: null },
      'Checkpoint: 1,000 tokens. The KV is on disk as the model server had it. The next message shows how much of it is reused.',
    ],
  ])('after a freeze or clone: %j', (changes, sentence) => {
    expect(summaryOf({ ...some, ...changes })).toBe(sentence);
  });

  it.each<[Partial<Receipt>, string]>([
    [
      {},
      'Proven: 960 of 1,000 tokens came from disk; the other 40 were computed again, the minimum for this model server.',
    ],
    [{ tier: 'device' }, "Proven: 960 of 1,000 tokens came from the model server's memory;"],
    [{ tier: 'unknown' }, 'Proven: 960 of 1,000 tokens came from the cache;'],
    [
      { verdict: 'reused', content: { ...content, checksums: 'not-run' } },
      'The canary agreed, which cannot show every change. Their content could not be checked further.',
    ],
    [
      { verdict: 'reused', content: { ...content, checksums: 'not-run', canary: 'not-run' } },
      'the minimum for this model server. Their content could not be checked.',
    ],
    [{ verdict: 'partial' }, 'Partial: 960 of 1,000 tokens were reused; the other 40 were computed again.'],
    [{ verdict: 'rebuilt', cachedTokens: 0 }, 'Rebuilt: nothing was reused; all 1,000 tokens were computed again.'],
    [
      { verdict: 'rebuilt', promptTokens: 21, cachedTokens: 0, floorTokens: 0, blockTokens: 32 },
      'Rebuilt: nothing was reused; all 21 tokens were computed again. The context is too short to be reused: this model server reuses blocks of 32 tokens, and never the last token, so it takes 33 tokens at least.',
    ],
    [{ verdict: 'unobserved', cachedTokens: null }, 'Unobserved: the context was sent,'],
    [
      { verdict: 'unobserved', promptTokens: null, cachedTokens: null },
      'Unobserved: the KV is back from its file, which is whole. The next message shows how much of it is reused.',
    ],
    [{ verdict: 'damaged' }, 'It could not be discarded, so the next answers may rest on it.'],
    [{ verdict: 'damaged', repair: 'salt-advanced' }, 'It was discarded, and the context was rebuilt from its tokens.'],
    [{ verdict: 'mismatch' }, 'Mismatch: the served model differs from the frozen one in name or weights.'],
    [{ verdict: 'text-only', promptTokens: null }, 'Text only: the model server did not bring the KV cache back.'],
  ])('after a thaw: %j', (changes, sentence) => {
    expect(summaryOf({ ...some, ...changes })).toContain(sentence);
  });
});
