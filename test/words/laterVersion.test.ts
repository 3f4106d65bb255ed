import { expect, test } from 'vitest';
import { fromAnswer } from '../../src/client/routeRequest.ts';
import { receiptSchema } from '../../src/protocol/schemas/receipt.ts';
import { receiptWords } from '../../src/words/receipt.ts';
import { receiptOf } from './laterReceipt.ts';

test('a receipt with words of a later version is accepted and shown as it is, in every field that may grow', () => {
  const later = receiptOf({
    operation: 'merge',
    verdict: 'verified',
    tier: 'tape',
    cachedTokensFrom: 'events',
    repair: 'blocks-patched',
    checksums: 'sampled',
    canary: 'skipped',
  });
  // The store of an earlier version reads it, too.
  expect(receiptSchema.safeParse(later).error?.issues ?? []).toEqual([]);
  const receipt = fromAnswer('thaw', { status: 200, body: JSON.stringify(later), signals: null });
  const { heading, verdict, sentences, evidence } = receiptWords(receipt);
  expect(heading).toMatch(/^Merge at/);
  expect(verdict).toBe('verified (from tape)');
  expect(sentences).toEqual(['What it came to.']);
  const shown = JSON.stringify(evidence);
  for (const word of ['tape', 'events', 'blocks-patched', 'sampled', 'skipped']) expect(shown).toContain(word);
  expect(shown).not.toContain('undefined');
});
