import type { Row, Table } from '../../words/rows.ts';

const widthOf = (text: string): number => Array.from(text).length;

/** Columns as wide as their widest cell; the last one is not padded. A cell is one line. */
export function formatTable({ head, rows }: Table): string {
  const names = head.map((name) => name.toUpperCase());
  const all = [names, ...rows.map((row) => row.map((cell) => cell.replaceAll(/\s+/g, ' ')))];
  const widths = names.map((_, column) => Math.max(...all.map((row) => widthOf(row[column] ?? ''))));
  const pad = (cell: string, column: number): string =>
    column === names.length - 1 ? cell : cell + ' '.repeat((widths[column] ?? 0) - widthOf(cell));
  return all.map((row) => row.map(pad).join('  ').trimEnd()).join('\n');
}

/** `name  value` lines, indented; a fact that was not observed is left out. */
export function formatFacts(rows: readonly Row[]): string {
  const shown = rows.filter((row): row is readonly [string, string] => row[1] !== null);
  const width = Math.max(0, ...shown.map(([name]) => name.length));
  return shown.map(([name, value]) => `  ${name.padEnd(width)}  ${value}`).join('\n');
}

/** A page of a longer list says how much of it is shown. */
export const formatPage = (table: Table, total: number): string =>
  table.rows.length < total ? `${formatTable(table)}\n${table.rows.length} of ${total}` : formatTable(table);
