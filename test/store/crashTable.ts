import { readFileSync } from 'node:fs';
import path from 'node:path';

export interface CrashRow {
  readonly operation: string;
  readonly points: number;
  readonly crashes: number;
  readonly failures: number;
}

/** docs/reliability.md. */
export const reliability = readFileSync(path.join(import.meta.dirname, '../../docs/reliability.md'), 'utf8');

/** The table of crash points in docs/reliability.md, its rows of totals and of migrations included. */
export function documentedCrashes(): CrashRow[] {
  const table = /^\| operation .*\n\|[-:| ]+\|\n((?:\|.*\n)+)/m.exec(reliability)?.[1] ?? '';
  return table
    .trim()
    .split('\n')
    .map((row) => {
      const [, operation = '', ...numbers] = row.split('|').map((cell) => cell.trim());
      const [points = NaN, crashes = NaN, failures = NaN] = numbers.map((number) => Number(number.replaceAll(',', '')));
      return { operation, points, crashes, failures };
    });
}
