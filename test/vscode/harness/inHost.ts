import Mocha from 'mocha';
import { appendFileSync } from 'node:fs';
import { format } from 'node:util';
import type { SuiteEvent } from './suiteReport.ts';

/**
 * Runs inside the extension host, bundled with the test files by bundleSuite.ts. `load` defines the tests. Each event is written
 * at once, so that a host that dies or hangs still leaves what it had done. Rejects when a test fails: VS Code's exit code is 1 then.
 */
export async function runInHost(load: () => void): Promise<void> {
  const reportPath = required('CWM_SUITE_REPORT');
  const write = (event: SuiteEvent): void => appendFileSync(reportPath, `${JSON.stringify(event)}\n`);
  reportConsole(write);
  write({ kind: 'loading' });
  const mocha = new Mocha({
    ui: 'bdd',
    timeout: Number(required('CWM_SUITE_TEST_TIMEOUT_MS')),
    forbidOnly: process.env['CI'] !== undefined,
    reporter: Mocha.reporters.Base, // prints nothing: the listeners below report
  });
  try {
    mocha.suite.emit('pre-require', {} as Mocha.MochaGlobals, '', mocha); // from here on mocha's exported `describe` works
    load();
  } catch (error) {
    write({ kind: 'broken', ...describeError(error) });
    throw error;
  }
  const failures = await new Promise<number>((resolve) => {
    const runner = mocha.run(resolve);
    runner.on('test', (test) => write({ kind: 'started', title: test.fullTitle() }));
    runner.on('pass', (test) => write({ kind: 'passed', title: test.fullTitle(), durationMs: test.duration ?? 0 }));
    runner.on('pending', (test) => write({ kind: 'skipped', title: test.fullTitle() }));
    runner.on('fail', (test, error: unknown) =>
      write({ kind: 'failed', title: test.fullTitle(), ...describeError(error) }),
    );
  });
  write({ kind: 'ended' });
  if (failures > 0) throw new Error(`${failures} failed`);
}

/** What tests and extensions print goes to a log that no caller sees; here it joins the report. Errors there are VS Code's own. */
function reportConsole(write: (event: SuiteEvent) => void): void {
  for (const level of ['log', 'info'] as const) {
    const original = console[level].bind(console);
    // VS Code has put accessors there that swallow an assignment. An extension may want to put its own there, and fail where it cannot.
    Object.defineProperty(console, level, {
      configurable: true,
      writable: true,
      value: (...values: unknown[]) => {
        write({ kind: 'printed', text: format(...values) });
        original(...values);
      },
    });
  }
}

function required(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set: start this suite with runSuite()`);
  return value;
}

function describeError(error: unknown): { readonly message: string; readonly stack: string } {
  return error instanceof Error
    ? { message: error.message, stack: error.stack ?? '' }
    : { message: String(error), stack: '' };
}
