import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { runCommandLine } from '../../../src/cli/program.ts';
import { startCli } from './cliProcess.ts';
import { FakeTerminal, type Outcome } from './fakeTerminal.ts';

export interface Cli {
  readonly run: (...args: string[]) => Promise<Outcome>;
  /** Runs with `--json` and parses stdout. @throws when the exit code is not 0. */
  readonly json: (...args: string[]) => Promise<Record<string, unknown>>;
  /** Runs with `--json`, expects exit code 1 and an empty stdout, and parses stderr. */
  readonly refusal: (...args: string[]) => Promise<Record<string, unknown>>;
}

/**
 * `cwm` on one storage directory, with this process as its terminal: only the backend that it starts is a process of its own. What a
 * command is as a process is the business of {@link cliProcessOn}.
 */
export const cliOn = (storage: string, cwd?: string): Cli =>
  cli(storage, async (args) => {
    const terminal = new FakeTerminal({ env: process.env, cwd: cwd ?? process.cwd() });
    const code = await runCommandLine(args, terminal);
    return { code, stdout: terminal.stdout, stderr: terminal.stderr };
  });

/** The same, each command as a process of its own. */
export const cliProcessOn = (storage: string, cwd?: string): Cli => cli(storage, (args) => startCli(args, cwd).outcome);

function cli(storage: string, start: (args: readonly string[]) => Promise<Outcome>): Cli {
  const run = (...args: string[]): Promise<Outcome> => start([...args, '--storage', storage]);
  return {
    run,
    json: async (...args) => {
      const { code, stdout, stderr } = await run(...args, '--json');
      if (code !== 0) throw new Error(`cwm ${args.join(' ')} ended with ${code}: ${stderr}${lastOfLog(storage)}`);
      return parse(stdout);
    },
    refusal: async (...args) => {
      const { code, stdout, stderr } = await run(...args, '--json');
      if (code !== 1 || stdout !== '') throw new Error(`cwm ${args.join(' ')} ended with ${code}: ${stdout}${stderr}`);
      return parse(stderr);
    },
  };
}

const parse = (text: string): Record<string, unknown> => JSON.parse(text) as Record<string, unknown>;

/** What the backend wrote down of it. */
function lastOfLog(storage: string): string {
  const log = join(storage, 'backend.log');
  return existsSync(log) ? readFileSync(log, 'utf8').split('\n').slice(-6).join('\n') : '';
}
