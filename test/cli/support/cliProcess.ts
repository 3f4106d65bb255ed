import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Outcome } from './fakeTerminal.ts';

export const cliEntry = fileURLToPath(new URL('../../../src/cli/main.ts', import.meta.url));

export interface CliProcess {
  readonly child: ChildProcess;
  readonly outcome: Promise<Outcome>;
}

/** Runs `cwm` as a process of its own, as a user does. */
export function startCli(args: readonly string[], cwd?: string, stdin: 'empty' | 'open' = 'empty'): CliProcess {
  const child = spawn(process.execPath, [cliEntry, ...args], { stdio: 'pipe', cwd });
  if (stdin === 'empty') child.stdin.end();
  const written = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (written.stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (written.stderr += text));
  const outcome = once(child, 'close').then((args) => {
    const [code] = args as [number | null];
    return { code: code ?? -1, ...written };
  });
  return { child, outcome };
}

export interface Cli {
  readonly run: (...args: string[]) => Promise<Outcome>;
  /** Runs with `--json` and parses stdout. @throws when the exit code is not 0. */
  readonly json: (...args: string[]) => Promise<Record<string, unknown>>;
  /** Runs with `--json`, expects exit code 1 and an empty stdout, and parses stderr. */
  readonly refusal: (...args: string[]) => Promise<Record<string, unknown>>;
}

/** `cwm` on one storage directory. */
export function cliOn(storage: string, cwd?: string): Cli {
  const run = (...args: string[]): Promise<Outcome> => startCli([...args, '--storage', storage], cwd).outcome;
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
