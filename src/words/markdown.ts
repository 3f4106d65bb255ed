import { readableLine } from '../base/readableText.ts';
import type { Row, Table } from './rows.ts';

/** Text without a meaning in markdown: no markup, no HTML, no end of a table cell, no line break, no reversed direction. */
export const plain = (text: string): string =>
  readableLine(text)
    .replace(/[\\`*_{}[\]()#+!|~>$]/g, '\\$&')
    .replaceAll('<', '&lt;');

/** Text as code, with as many backticks around it as none of it has in a row. */
export function code(text: string): string {
  const line = readableLine(text);
  const fence = '`'.repeat(1 + Math.max(0, ...Array.from(line.matchAll(/`+/g), ([run]) => run.length)));
  const pad = line.startsWith('`') || line.endsWith('`') ? ' ' : '';
  return `${fence}${pad}${line}${pad}${fence}`;
}

export const markdownTable = ({ head, rows }: Table): string =>
  [head, head.map(() => '---'), ...rows.map((cells) => cells.map(plain))]
    .map((cells) => `| ${cells.join(' | ')} |`)
    .join('\n');

/** Facts as a list. */
export const markdownFacts = (rows: readonly Row[]): string =>
  rows.map(([name, value]) => `- ${name}: ${plain(value ?? 'not observed')}`).join('\n');

export const markdownList = (items: readonly string[]): string => items.map((item) => `- ${plain(item)}`).join('\n');

/** Paragraphs under a heading; one without text is left out. */
export const markdownPage = (heading: string, paragraphs: readonly string[]): string =>
  `${[`# ${heading}`, ...paragraphs].filter((paragraph) => paragraph !== '').join('\n\n')}\n`;
