import { expect, test } from 'vitest';
import { importedKvSentences, kvSizeText, writtenKvSentences } from '../../src/words/window.ts';

const kv = { tokens: 1024, total: 1100, bytes: 3_000_000, notes: [] };
const none = { tokens: 0, total: 1100, bytes: 0, notes: ['The KV is of another model.'] };

test('KV in a file is told with its tokens and its size, before and after it is written', () => {
  expect(kvSizeText(kv)).toBe('The KV of 1,024 of 1,100 tokens takes 3 MB.');
  expect(writtenKvSentences(kv)).toEqual(['It has the KV of 1,024 of 1,100 tokens, 3 MB.']);
  expect(writtenKvSentences(none)).toEqual(['It has no KV.', 'The KV is of another model.']);
});

test('KV from a file is told with what it means for a proof, or with why it was not used', () => {
  expect(importedKvSentences(kv)).toEqual([
    expect.stringMatching(/^Took the KV of 1,024 of 1,100 tokens from the file\. .* no window .* is proven/),
  ]);
  expect(importedKvSentences(none)).toEqual([
    'No KV of the file is used: your model server computes the conversation.',
    'The KV is of another model.',
  ]);
});
