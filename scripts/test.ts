// The README's test command: all checks of this checkout. It prints the time of each part; its last line is `N passed, N failed, N skipped`.
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { readArguments } from './readArguments.ts';
import { binary, countedOutcome, root, run, runVitest, type Outcome } from './vitestRun.ts';

const usage = `npm test -- [FILE …] [-t TEXT] [--no-vscode]

  FILE …        run these tests only: files, folders, or parts of their paths
  -t TEXT       run only the tests that have TEXT in their title
  --no-vscode   leave out the suites that run in a real VS Code`;

const { values: given, positionals: files } = readArguments(usage, {
  allowPositionals: true,
  options: { 'no-vscode': { type: 'boolean' }, title: { type: 'string', short: 't' } },
});
const results = path.join(root, 'test-results');
rmSync(results, { recursive: true, force: true });
mkdirSync(results, { recursive: true });

const hasVsCode = !given['no-vscode'];
const chosen = [...files, ...(given.title === undefined ? [] : ['-t', given.title])];
if (chosen.length > 0) end([await step('tests', () => runVitest(path.join(results, 'vitest.json'), chosen))]);
else await everything();

async function everything(): Promise<void> {
  // Downloads what is missing while the processors are busy with something else. The suites themselves say what failed.
  const vsCode = hasVsCode ? run(process.execPath, ['test/vscode/install.ts']) : Promise.resolve(0);

  const outcomes: Outcome[] = [
    await step('types', () => check(binary('tsc'), ['--noEmit'])),
    await step('types of the page', () => check(binary('tsc'), ['--noEmit', '-p', 'src/vscode/page'])),
    await step('lint', () => check(binary('oxlint'), ['--type-aware'])),
    await step('format', () => check(binary('oxfmt'), ['--check'])),
    await step('build', () => check(process.execPath, ['esbuild.mjs'])),
    await step('unit tests', () => projects('unit*')),
  ];
  // At once, since much of each is a wait for processes that start, for a window that is drawn, for the disk.
  const [processes, inVsCode] = await Promise.all([
    // Together, so that the sweeps, which only compute, fill the time in which processes start.
    step('process tests and sweeps', () => projects('process*', 'sweep')),
    hasVsCode ? vsCodeSuites(vsCode) : [],
  ]);
  outcomes.push(processes, ...inVsCode);
  console.log(
    'A real vLLM, LMCache and llama-server are tested by `npm run test:engines` (`npm run engines:install` first).',
  );
  end(outcomes);
}

function end(outcomes: readonly Outcome[]): void {
  const sum = (field: keyof Outcome): number => outcomes.reduce((total, outcome) => total + outcome[field], 0);
  console.log(`${sum('passed')} passed, ${sum('failed')} failed, ${sum('skipped')} skipped`);
  process.exitCode = sum('failed') === 0 && sum('passed') > 0 ? 0 : 1;
}

async function step(name: string, task: () => Promise<Outcome>): Promise<Outcome> {
  console.log(`\n── ${name}`);
  const started = performance.now();
  const outcome = await task();
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(`── ${name}: ${outcome.failed === 0 ? 'ok' : 'FAILED'} in ${seconds} s`);
  return outcome;
}

/** One command that passes or fails as a whole. */
async function check(command: string, args: readonly string[]): Promise<Outcome> {
  const isRight = (await run(command, args)) === 0;
  return { passed: isRight ? 1 : 0, failed: isRight ? 0 : 1, skipped: 0 };
}

/** Tests of these projects of `vitest.config.ts`. */
function projects(...names: readonly string[]): Promise<Outcome> {
  const file = path.join(results, `vitest-${names.join('-').replace('*', '')}.json`);
  return runVitest(
    file,
    names.flatMap((name) => ['--project', name]),
  );
}

/** One after the other: a machine that draws two windows at once is slow at both. */
async function vsCodeSuites(installed: Promise<unknown>): Promise<Outcome[]> {
  await installed;
  const vsix = path.join(results, 'extension.vsix');
  const isPackaged = (await run(process.execPath, ['test/vscode/packageExtension.ts', vsix])) === 0;
  if (isPackaged) process.env['CWM_TEST_VSIX'] = vsix;
  return [
    await step('extension host suite', () => suite('test/vscode/runSuite.ts')),
    await step('browser suite', () => suite('test/vscode/runUi.ts')),
  ];
}

/** A script that writes `{passed, failed, skipped}` into the file that its argument names. Its output is shown in one piece, at its end. */
async function suite(script: string): Promise<Outcome> {
  const name = path.basename(script, '.ts');
  const [file, log] = [path.join(results, `${name}.json`), path.join(results, `${name}.log`)];
  const status = await run(process.execPath, [script, file], { log });
  console.log(readFileSync(log, 'utf8'));
  return countedOutcome(status, file, { passed: 'passed', failed: 'failed', skipped: 'skipped' });
}
