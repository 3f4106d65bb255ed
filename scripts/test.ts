// The README's test command: all checks of this checkout. It prints the time of each part; its last line is `N passed, N failed, N skipped`.
//
//   --no-vscode   leaves out the suites that run in a real VS Code
import { mkdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { binary, countedOutcome, root, run, runVitest, type Outcome } from './vitestRun.ts';

const results = path.join(root, 'test-results');
rmSync(results, { recursive: true, force: true });
mkdirSync(results, { recursive: true });

const outcomes: Outcome[] = [
  await step('types', () => check(binary('tsc'), ['--noEmit'])),
  await step('types of the page', () => check(binary('tsc'), ['--noEmit', '-p', 'src/vscode/page'])),
  await step('lint', () => check(binary('oxlint'), ['--type-aware'])),
  await step('format', () => check(binary('oxfmt'), ['--check'])),
  await step('build', () => check(process.execPath, ['esbuild.mjs'])),
  await step('unit tests', () => projects('unit*')),
  // Together, so that the sweeps, which only compute, fill the time in which processes start.
  await step('process tests and sweeps', () => projects('process', 'sweep')),
];
if (!process.argv.includes('--no-vscode')) {
  outcomes.push(await step('extension host suite', () => suite('test/vscode/runSuite.ts')));
  outcomes.push(await step('browser suite', () => suite('test/vscode/runUi.ts')));
}
console.log(
  'A real vLLM, LMCache and llama-server are tested by `npm run test:engines` (`npm run engines:install` first).',
);

const sum = (field: keyof Outcome): number => outcomes.reduce((total, outcome) => total + outcome[field], 0);
console.log(`${sum('passed')} passed, ${sum('failed')} failed, ${sum('skipped')} skipped`);
process.exitCode = sum('failed') === 0 && sum('passed') > 0 ? 0 : 1;

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

/** A script that writes `{passed, failed, skipped}` into the file that its argument names. */
async function suite(script: string): Promise<Outcome> {
  const file = path.join(results, `${path.basename(script, '.ts')}.json`);
  const status = await run(process.execPath, [script, file]);
  return countedOutcome(status, file, { passed: 'passed', failed: 'failed', skipped: 'skipped' });
}
