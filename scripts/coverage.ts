// Measures the lines of src/ that tests reach, also in the processes that they start, one folder of test/ after the other. Fails when a
// file that runs without an editor has less than 90 % (S1-10).
//
//   FOLDER …   measures these parts only (`test/cli`), and adds what was measured of the others before; then nothing fails
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { binary, root, run } from './vitestRun.ts';

/** The floor, in per cent of a file's lines. */
const floor = 90;

/** Files that may have less, each with its reason. At most five. */
const exceptions: Readonly<Record<string, string>> = {
  'src/cli/commands/backend/mcp.ts': 'its process ends before it writes what it ran; test/cli/mcp.test.ts runs it',
  'src/mcp/main.ts': 'the same',
  'src/cli/commands/backend/serveAtLogin.ts': "it changes what the user's own system starts; test/setup has its parts",
  'src/embedded/worker/llamaWorker.ts': 'a grammar needs a model that calls tools; npm run test:engines has some',
};

const folder = path.join(root, 'coverage');
const args = process.argv.slice(2).map((part) => part.replace(/\/+$/, ''));
const isWhole = args.length === 0;
if (isWhole) rmSync(folder, { recursive: true, force: true });
let failedRuns = 0;
for (const part of isWhole ? testFolders() : args) if ((await measure(part)) !== 0) failedRuns++;

/** Folders of test/ that hold tests. */
function testFolders(): string[] {
  return readdirSync(path.join(root, 'test'), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => `test/${name}`)
    .filter((part) =>
      readdirSync(path.join(root, part), { recursive: true, encoding: 'utf8' }).some((name) =>
        name.endsWith('.test.ts'),
      ),
    );
}

/** @returns the exit status. */
async function measure(part: string): Promise<number> {
  const reports = path.join(folder, part.replaceAll('/', '-'));
  rmSync(reports, { recursive: true, force: true });
  mkdirSync(path.join(reports, 'processes'), { recursive: true });
  process.env['CWM_PROCESS_COVERAGE'] = path.join(reports, 'processes');
  return run(binary('vitest'), [
    'run',
    '--passWithNoTests',
    '--coverage.enabled',
    '--coverage.provider=v8',
    '--coverage.include=src/**/*.ts',
    '--coverage.reporter=json',
    '--coverage.reportOnFailure',
    `--coverage.reportsDirectory=${path.join(reports, 'vitest')}`,
    '--reporter=dot',
    `${part}/`,
  ]);
}

interface FileCoverage {
  readonly statementMap: Readonly<Record<string, { readonly start: { readonly line: number } }>>;
  readonly s: Readonly<Record<string, number>>;
}

const reportOf = (part: string): string => path.join(part, 'vitest/coverage-final.json');
// A part that was cut has no report. In a whole run, that is a failed run.
const parts = readdirSync(folder)
  .map((name) => path.join(folder, name))
  .filter((part) => existsSync(reportOf(part)));
const report = new Map<string, Map<number, boolean>>();
for (const part of parts) addReport(reportOf(part));
const reachedInProcesses = linesReachedInProcesses();
const files = Array.from(report, ([file, lines]) => countLines(file, lines))
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
if (isWhole) {
  const isGood = failedRuns === 0 && failed.length === 0 && unused.length === 0 && Object.keys(exceptions).length <= 5;
  console.log(isGood ? '1 passed, 0 failed' : `0 passed, ${Math.max(1, failed.length)} failed`);
  process.exitCode = isGood ? 0 : 1;
}

/**
 * A file that imports `vscode`, itself or through another file, runs only inside an editor, and a script of a webview only in its page;
 * the suites there measure nothing. Types are gone when it runs.
 */
function needsEditor(file: string, seen: Set<string> = new Set()): boolean {
  if (file.startsWith('src/vscode/page/')) return true;
  if (seen.has(file)) return false;
  seen.add(file);
  const values = readFileSync(path.join(root, file), 'utf8').matchAll(
    /^(?:import|export) (?!type )[^;]*?from '([^']+)'/gm,
  );
  return Array.from(values, ([, specifier = '']) => specifier).some((specifier) => {
    if (specifier === 'vscode') return true;
    return specifier.startsWith('.') && needsEditor(path.posix.join(path.posix.dirname(file), specifier), seen);
  });
}

/** Adds one part's lines: a line is reached where any part reached it. */
function addReport(file: string): void {
  const coverages = JSON.parse(readFileSync(file, 'utf8')) as Record<string, FileCoverage>;
  for (const [source, { statementMap, s }] of Object.entries(coverages)) {
    // Since an earlier part was measured, it may have gone.
    if (!existsSync(source)) continue;
    const lines = report.get(source) ?? new Map<number, boolean>();
    for (const [id, { start }] of Object.entries(statementMap)) {
      lines.set(start.line, (lines.get(start.line) ?? false) || (s[id] ?? 0) > 0);
    }
    report.set(source, lines);
  }
}

function countLines(absolute: string, here: ReadonlyMap<number, boolean>) {
  const file = path.relative(root, absolute).replaceAll(path.sep, '/');
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
  const texts = new Map<string, string>();
  const textOf = (source: string): string => {
    const text = texts.get(source) ?? readFileSync(source, 'utf8');
    texts.set(source, text);
    return text;
  };
  for (const file of parts.flatMap(processReports)) {
    for (const script of readScripts(file)) {
      if (!script.url.startsWith('file://')) continue;
      const source = fileURLToPath(script.url);
      if (!source.startsWith(path.join(root, 'src') + path.sep) || !existsSync(source)) continue;
      const lines = reached.get(source) ?? new Set<number>();
      for (const line of linesRun(textOf(source), script)) lines.add(line);
      reached.set(source, lines);
    }
  }
  return reached;
}

/** None of a report that a process could not finish, since it was killed while it wrote: what it reached is in its reports before. */
function readScripts(file: string): readonly ScriptCoverage[] {
  try {
    return (JSON.parse(readFileSync(file, 'utf8')) as { result: readonly ScriptCoverage[] }).result;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    console.log(`Skipped, since its process was killed while it wrote: ${path.relative(root, file)}`);
    return [];
  }
}

function processReports(part: string): string[] {
  const reports = path.join(part, 'processes');
  return readdirSync(reports)
    .filter((name) => name.endsWith('.json'))
    .map((name) => path.join(reports, name));
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
