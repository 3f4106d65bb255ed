import type { Receipt } from '../../protocol/schemas/receipt.ts';
import type { WindowDetails } from '../../protocol/schemas/window.ts';
import { formatStamp } from '../../words/amounts.ts';
import { receiptWords } from '../../words/receipt.ts';
import type { Row } from '../../words/rows.ts';
import { windowRows } from '../../words/window.ts';

/** A window's receipts, newest first: sentences on top, their evidence below. Language `cwm-receipt`. */
export function windowReceiptsText(details: Pick<WindowDetails, 'summary' | 'receipts' | 'lineageWindows'>): string {
  const { summary, receipts } = details;
  const newestFirst = [...receipts].sort((a, b) => b.at.localeCompare(a.at));
  const head = [
    heading(`Window ${summary.name}`, '='),
    ...(summary.description === '' ? [] : [summary.description, '']),
    ...table(windowRows(summary, formatStamp, details.lineageWindows)),
  ];
  const body = newestFirst.length === 0 ? ['', 'Nothing has been measured on this window yet.'] : [];
  return [...head, ...body, ...newestFirst.flatMap((receipt) => ['', receiptText(receipt)])].join('\n').concat('\n');
}

/** One receipt, as text. */
export function receiptText(receipt: Receipt): string {
  const words = receiptWords(receipt);
  const counters = words.counters.length === 0 ? [] : ['', "Change of the server's counters", ...table(words.counters)];
  return [
    heading(words.heading, '-'),
    ...(words.verdict === null ? [] : [`Verdict: ${words.verdict}`]),
    '',
    ...words.sentences,
    ...words.notes.map((note) => `Note: ${note}`),
    '',
    'Evidence',
    ...table(words.evidence),
    ...counters,
  ].join('\n');
}

function table(rows: readonly Row[]): string[] {
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `  ${name.padEnd(width)}  ${value ?? 'not observed'}`);
}

const heading = (text: string, underline: string): string => `${text}\n${underline.repeat(text.length)}`;
