import { appendFileSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Where the live suite leaves what it measured: one line a figure. `liveRuns.ts` empties it before and prints it after. */
export const figuresFile = join(import.meta.dirname, '..', '..', '..', 'test-results', 'engines-figures.txt');

/** Keeps a measured figure for the end of the run. It informs; nothing passes or fails by it. */
export function noteFigure(line: string): void {
  mkdirSync(dirname(figuresFile), { recursive: true });
  appendFileSync(figuresFile, `${line}\n`);
}
