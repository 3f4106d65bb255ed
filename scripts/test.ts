// The README's test command: everything that says whether this checkout is sound. The last line it prints is
// `N passed, N failed, N skipped`.
//
//   --no-vscode   leaves out the suites that run in a real VS Code
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const results = path.join(root, 'test-results');
const binary = (name: string): string => path.join(root, 'node_modules', '.bin', name);

interface Outcome {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

rmSync(results, { recursive: true, force: true });
mkdirSync(results, { recursive: true });
const outcomes: Outcome[] = [];
outcomes.push(await check('types', binary('tsc'), ['--noEmit']));
outcomes.push(await check('lint', binary('oxlint'), ['--type-aware']));
outcomes.push(await check('format', binary('oxfmt'), ['--check']));
outcomes.push(await check('build', process.execPath, ['esbuild.mjs']));
outcomes.push(await vitest());
if (!process.argv.includes('--no-vscode')) {
  outcomes.push(await counted('extension host suite', 'test/vscode/runSuite.ts'));
  outcomes.push(await counted('browser suite', 'test/vscode/runUi.ts'));
}
console.log(
  'A real vLLM and a real llama-server are tested by `npm run test:engines` (`npm run engines:install` first).',
);

const sum = (field: keyof Outcome): number => outcomes.reduce((total, outcome) => total + outcome[field], 0);
console.log(`${sum('passed')} passed, ${sum('failed')} failed, ${sum('skipped')} skipped`);
process.exitCode = sum('failed') === 0 && sum('passed') > 0 ? 0 : 1;

/** One command that is right or wrong as a whole. */
async function check(name: string, command: string, args: readonly string[]): Promise<Outcome> {
  const status = await run(name, command, args);
  return status === 0 ? { passed: 1, failed: 0, skipped: 0 } : { passed: 0, failed: 1, skipped: 0 };
}

async function vitest(): Promise<Outcome> {
  const file = path.join(results, 'vitest.json');
  const status = await run('unit, contract and process tests', binary('vitest'), [
    'run',
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${file}`,
  ]);
  const report = readJson(file, ['numPassedTests', 'numFailedTests', 'numPendingTests']);
  return orFailed(status, report && { passed: report[0], failed: report[1], skipped: report[2] });
}

/** A script that writes `{passed, failed, skipped}` into the file it is given. */
async function counted(name: string, script: string): Promise<Outcome> {
  const file = path.join(results, `${path.basename(script, '.ts')}.json`);
  const status = await run(name, process.execPath, [script, file]);
  const report = readJson(file, ['passed', 'failed', 'skipped']);
  return orFailed(status, report && { passed: report[0], failed: report[1], skipped: report[2] });
}

/** A run that ended badly without a failed test has failed all the same. */
function orFailed(status: number, outcome: Outcome | null): Outcome {
  if (!outcome) return { passed: 0, failed: 1, skipped: 0 };
  return status !== 0 && outcome.failed === 0 ? { ...outcome, failed: 1 } : outcome;
}

function readJson(file: string, fields: readonly [string, string, string]): [number, number, number] | null {
  try {
    const report = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
    const [first, second, third] = fields.map((field) => Number(report[field] ?? 0));
    return [first ?? 0, second ?? 0, third ?? 0];
  } catch {
    console.error(`There is no result in ${path.relative(root, file)}.`);
    return null;
  }
}

function run(name: string, command: string, args: readonly string[]): Promise<number> {
  console.log(`\n── ${name}`);
  const started = performance.now();
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
    child.on('error', (error) => {
      console.error(error.message);
      resolve(1);
    });
    child.on('exit', (code) => {
      console.log(
        `── ${name}: ${code === 0 ? 'ok' : 'FAILED'} in ${((performance.now() - started) / 1000).toFixed(1)} s`,
      );
      resolve(code ?? 1);
    });
  });
}
