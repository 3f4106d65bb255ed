import type { Receipt } from '../protocol/schemas/receipt.ts';
import { receiptWords } from '../words/receipt.ts';
import { formatFacts } from './terminal/layout.ts';

/** What was done in sentences, then what that rests on. The server's counters are left to --json. */
export function receiptText(receipt: Receipt): string {
  const { verdict, sentences, notes, evidence } = receiptWords(receipt);
  return [
    ...sentences,
    formatFacts([['Window', receipt.window], ['Session', receipt.session], ['Verdict', verdict], ...evidence]),
    ...notes.map((note) => `  · ${note}`),
  ].join('\n');
}
