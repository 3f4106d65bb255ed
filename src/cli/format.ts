export { formatBytes } from '../base/formatBytes.ts';

const counts = new Intl.NumberFormat('en-US');
const short = new Intl.NumberFormat('en-US', { maximumFractionDigits: 1 });

export const formatCount = (count: number): string => counts.format(count);

export const plural = (count: number, one: string, many = `${one}s`): string =>
  `${formatCount(count)} ${count === 1 ? one : many}`;

export function formatMs(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  return ms < 100_000 ? `${short.format(ms / 1000)} s` : `${short.format(ms / 60_000)} min`;
}

/** `null` is "not known", never 0. */
export const orUnknown = <T>(value: T | null, format: (value: T) => string): string =>
  value === null ? 'unknown' : format(value);

/** How long ago, in its largest unit. */
export function formatAge(stamp: string, now: Date): string {
  const minutes = Math.floor((now.getTime() - new Date(stamp).getTime()) / 60_000);
  if (minutes < 1) return 'just now';
  if (minutes < 60) return `${minutes} min ago`;
  if (minutes < 48 * 60) return `${Math.floor(minutes / 60)} h ago`;
  return `${Math.floor(minutes / 60 / 24)} d ago`;
}

const widthOf = (text: string): number => Array.from(text).length;

/** Columns as wide as their widest cell; the last one is not padded. */
export function formatTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [header, ...rows];
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
