import { formatCount } from '../../base/format.ts';

export const plural = (count: number, one: string, many = `${one}s`): string =>
  `${formatCount(count)} ${count === 1 ? one : many}`;

/** `null` is "not known", never 0. */
export const orUnknown = <T>(value: T | null, format: (value: T) => string): string =>
  value === null ? 'unknown' : format(value);

const widthOf = (text: string): number => Array.from(text).length;

/** Columns as wide as their widest cell; the last one is not padded. A cell is one line. */
export function formatTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [header, ...rows.map((row) => row.map((cell) => cell.replaceAll(/\s+/g, ' ')))];
  const widths = header.map((_, column) => Math.max(...all.map((row) => widthOf(row[column] ?? ''))));
  const pad = (cell: string, column: number): string =>
    column === header.length - 1 ? cell : cell + ' '.repeat((widths[column] ?? 0) - widthOf(cell));
  return all.map((row) => row.map(pad).join('  ').trimEnd()).join('\n');
}

/** `name  value` lines, indented; a fact without a value is left out. */
export function formatFacts(facts: readonly (readonly [name: string, value: string | null])[]): string {
  const shown = facts.filter((fact): fact is readonly [string, string] => fact[1] !== null);
  const width = Math.max(0, ...shown.map(([name]) => name.length));
  return shown.map(([name, value]) => `  ${name.padEnd(width)}  ${value}`).join('\n');
}
