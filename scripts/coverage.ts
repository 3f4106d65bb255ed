// Measures the lines of src/ that the unit, contract and process tests reach, also in the processes that they start. Fails when a file
// that runs without an editor has less than 90 % (S1-10). Takes vitest's arguments; with some of them, nothing fails.
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { binary, root, run } from './vitestRun.ts';

/** The floor, in per cent of a file's lines. */
const floor = 90;

/** Files that may have less, each with its reason. At most five. */
const exceptions: Readonly<Record<string, string>> = {};

const folder = path.join(root, 'coverage');
const fromProcesses = path.join(folder, 'processes');
const args = process.argv.slice(2);
rmSync(folder, { recursive: true, force: true });
mkdirSync(fromProcesses, { recursive: true });
process.env['CWM_PROCESS_COVERAGE'] = fromProcesses;
const status = await run(binary('vitest'), [
  'run',
  '--coverage.enabled',
  '--coverage.provider=v8',
  '--coverage.include=src/**/*.ts',
  '--coverage.reporter=json',
  '--coverage.reportOnFailure',
  `--coverage.reportsDirectory=${path.join(folder, 'vitest')}`,
  '--reporter=dot',
  ...args,
]);

interface FileCoverage {
  readonly statementMap: Readonly<Record<string, { readonly start: { readonly line: number } }>>;
  readonly s: Readonly<Record<string, number>>;
}

const report = JSON.parse(readFileSync(path.join(folder, 'vitest/coverage-final.json'), 'utf8')) as Record<
  string,
  FileCoverage
>;
const reachedInProcesses = linesReachedInProcesses();
const files = Object.entries(report)
  .map(([file, coverage]) => countLines(file, coverage))
  .filter(({ lines }) => lines > 0)
  .sort((a, b) => a.percent - b.percent);
const total = files.reduce(
  (sum, { lines, reached }) => ({ lines: sum.lines + lines, reached: sum.reached + reached }),
  {
    lines: 0,
    reached: 0,
  },
);
const below = files.filter(({ file, percent }) => percent < floor && !needsEditor(file));
for (const { file, percent, missed } of below) {
  const reason = exceptions[file];
  console.log(`${percent.toFixed(1).padStart(5)} %  ${file}${reason ? ` (excepted: ${reason})` : ''}  lines ${missed}`);
}
console.log(`${((100 * total.reached) / total.lines).toFixed(1)} % of ${total.lines} lines in ${files.length} files.`);
const failed = below.filter(({ file }) => exceptions[file] === undefined);
const unused = Object.keys(exceptions).filter((file) => !below.some((each) => each.file === file));
if (unused.length > 0) console.log(`No longer exceptions: ${unused.join(', ')}.`);
if (args.length === 0) {
  const isGood = status === 0 && failed.length === 0 && unused.length === 0 && Object.keys(exceptions).length <= 5;
  console.log(isGood ? '1 passed, 0 failed' : `0 passed, ${Math.max(1, failed.length)} failed`);
  process.exitCode = isGood ? 0 : 1;
}

/** A file that imports `vscode` runs only inside an editor; the suites there measure nothing. */
function needsEditor(file: string): boolean {
  return /from 'vscode'/.test(readFileSync(path.join(root, file), 'utf8'));
}

function countLines(absolute: string, { statementMap, s }: FileCoverage) {
  const file = path.relative(root, absolute).replaceAll(path.sep, '/');
  const here = new Map<number, boolean>();
  for (const [id, { start }] of Object.entries(statementMap)) {
    here.set(start.line, (here.get(start.line) ?? false) || (s[id] ?? 0) > 0);
  }
  const elsewhere = reachedInProcesses.get(absolute);
  const missed = [...here].filter(([line, isReached]) => !isReached && !elsewhere?.has(line)).map(([line]) => line);
  const reached = here.size - missed.length;
  return { file, lines: here.size, reached, percent: (100 * reached) / Math.max(1, here.size), missed: ranges(missed) };
}

/** `3-5, 9`. */
function ranges(lines: readonly number[]): string {
  const sorted = [...lines].sort((a, b) => a - b);
  const parts: [number, number][] = [];
  for (const line of sorted) {
    const last = parts.at(-1);
    if (last && line <= last[1] + 1) last[1] = line;
    else parts.push([line, line]);
  }
  return parts.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join(', ');
}

interface ScriptCoverage {
  readonly url: string;
  readonly functions: readonly {
    readonly ranges: readonly { readonly startOffset: number; readonly endOffset: number; readonly count: number }[];
  }[];
}

/**
 * Lines that the started processes ran, by file. Node.js strips the types in place, so its offsets are those of the source. A process
 * that a test kills leaves nothing.
 */
function linesReachedInProcesses(): Map<string, Set<number>> {
  const reached = new Map<string, Set<number>>();
  for (const name of readdirSync(fromProcesses).filter((each) => each.endsWith('.json'))) {
    const { result } = JSON.parse(readFileSync(path.join(fromProcesses, name), 'utf8')) as {
      result: readonly ScriptCoverage[];
    };
    for (const script of result) {
      if (!script.url.startsWith('file://')) continue;
      const file = fileURLToPath(script.url);
      if (!file.startsWith(path.join(root, 'src') + path.sep)) continue;
      const lines = reached.get(file) ?? new Set<number>();
      for (const line of linesRun(readFileSync(file, 'utf8'), script)) lines.add(line);
      reached.set(file, lines);
    }
  }
  return reached;
}

/** Inner ranges come after outer ones and win, as V8 means them. */
function linesRun(text: string, { functions }: ScriptCoverage): number[] {
  const counts = new Int32Array(text.length + 1);
  const all = functions
    .flatMap(({ ranges }) => ranges)
    .sort((a, b) => a.startOffset - b.startOffset || b.endOffset - a.endOffset);
  for (const { startOffset, endOffset, count } of all)
    counts.fill(count, startOffset, Math.min(endOffset, text.length));
  const lines: number[] = [];
  let offset = 0;
  text.split('\n').forEach((line, index) => {
    const first = offset + (line.length - line.trimStart().length);
    if (line.trim() !== '' && (counts[first] ?? 0) > 0) lines.push(index + 1);
    offset += line.length + 1;
  });
  return lines;
}
