import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { programOf } from '../../support/programOf.ts';
import type { Outcome } from './fakeTerminal.ts';

export const cliEntry = programOf('cli');

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
