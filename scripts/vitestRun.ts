import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { stripVTControlCharacters } from 'node:util';

export interface Outcome {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** Vitest's report, as far as it names what failed. */
interface Report {
  readonly testResults?: readonly {
    readonly name: string;
    readonly status: string;
    readonly message?: string;
    readonly assertionResults: readonly {
      readonly fullName: string;
      readonly status: string;
      readonly failureMessages?: readonly string[];
    }[];
  }[];
}

export const root = fileURLToPath(new URL('..', import.meta.url));

/** The file in `node_modules/.bin` that starts a tool. */
export const binary = (name: string): string => path.join(root, 'node_modules', '.bin', name);

/** Runs vitest with its own output, and counts its tests from the report it writes to `file`. */
export async function runVitest(file: string, args: readonly string[]): Promise<Outcome> {
  // The report of an earlier run must not stand for a run that wrote none.
  rmSync(file, { force: true });
  const status = await run(binary('vitest'), [
    'run',
    ...args,
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${file}`,
  ]);
  for (const sentence of failedTests(file)) console.log(`Failed: ${sentence}`);
  return countedOutcome(status, file, {
    passed: 'numPassedTests',
    failed: 'numFailedTests',
    skipped: 'numPendingTests',
  });
}

/** A sentence for each test that failed, with the first line of its message: the end of a long log then says what failed. */
function failedTests(file: string): string[] {
  return failedResults(file).flatMap(({ name, message, assertionResults }) => {
    const failed = assertionResults.filter(({ status }) => status === 'failed');
    const where = path.relative(root, name);
    if (failed.length === 0) return [`${where}: ${firstLine(message)}`];
    return failed.map(({ fullName, failureMessages }) => `${where}: ${fullName}: ${firstLine(failureMessages?.[0])}`);
  });
}

function failedResults(file: string): NonNullable<Report['testResults']> {
  let report: Report;
  try {
    report = JSON.parse(readFileSync(file, 'utf8')) as Report;
  } catch {
    return [];
  }
  return (report.testResults ?? []).filter(({ status }) => status === 'failed');
}

const firstLine = (message: string | undefined): string => stripVTControlCharacters(message ?? '').split('\n')[0] ?? '';

/** A run without a report has failed, and so has one that exits with an error but no failed test. */
export function countedOutcome(status: number, file: string, fields: Record<keyof Outcome, string>): Outcome {
  let report: Record<string, unknown>;
  try {
    report = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
  } catch {
    console.error(`There is no result in ${path.relative(root, file)}.`);
    return { passed: 0, failed: 1, skipped: 0 };
  }
  const count = (name: string): number => Number(report[name] ?? 0);
  const failed = count(fields.failed);
  const outcome = { passed: count(fields.passed), failed, skipped: count(fields.skipped) };
  if (status === 0 || failed > 0) return outcome;
  console.log(
    `Failed: it ended with status ${status} although no test failed: an error outside of the tests, printed above.`,
  );
  return { ...outcome, failed: 1 };
}

const endings = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * A signal that ends this process also ends the command, which may have servers to end.
 *
 * @param log a file for what it writes, in place of this process's output.
 * @returns the exit status; 1 when the command could not be started or was killed.
 */
export function run(
  command: string,
  args: readonly string[],
  { log }: { readonly log?: string } = {},
): Promise<number> {
  const output = log === undefined ? 'inherit' : openSync(log, 'w');
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: root, stdio: ['ignore', output, output] });
    if (typeof output === 'number') closeSync(output);
    const passOn = (signal: NodeJS.Signals): void => void child.kill(signal);
    const end = (status: number): void => {
      for (const signal of endings) process.off(signal, passOn);
      resolve(status);
    };
    for (const signal of endings) process.on(signal, passOn);
    child.on('error', (error) => {
      console.error(error.message);
      end(1);
    });
    child.on('exit', (code) => end(code ?? 1));
  });
}
