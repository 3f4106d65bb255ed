import { spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { finished } from 'node:stream/promises';
import { createInterface } from 'node:readline';

export interface LoggedCommandOptions {
  /** Everything the command prints is appended here. */
  readonly logFile: string;
  readonly signal: AbortSignal;
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  /** Called for each line of its standard output and standard error. */
  readonly onLine?: (line: string) => void;
}

const tailLines = 20;

/** The beginning of a command that installs packages into the environment of this Python. */
export const pipInstall = (python: string) =>
  [python, '-m', 'pip', '--disable-pip-version-check', '--no-input', 'install', '--progress-bar', 'off'] as const;

/**
 * Runs a command to its end. An abort ends it with SIGTERM.
 *
 * @returns its standard output.
 * @throws an Error that names the command and ends with the last lines it printed, when it cannot start or exits non-zero.
 */
export async function runLogged(
  command: readonly [string, ...string[]],
  options: LoggedCommandOptions,
): Promise<string> {
  const { logFile, signal, env, cwd, onLine } = options;
  const [file, ...args] = command;
  const log = createWriteStream(logFile, { flags: 'a' });
  log.write(`$ ${command.join(' ')}\n`);
  const tail: string[] = [];
  const output: string[] = [];
  const keep = (line: string, into?: string[]): void => {
    log.write(`${line}\n`);
    tail.push(line);
    if (tail.length > tailLines) tail.shift();
    into?.push(line);
    onLine?.(line);
  };
  try {
    const child = spawn(file, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      signal,
      ...(env && { env }),
      ...(cwd && { cwd }),
    });
    createInterface(child.stdout).on('line', (line) => keep(line, output));
    createInterface(child.stderr).on('line', (line) => keep(line));
    const exit = await new Promise<number | string>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, killedBy) => resolve(code ?? killedBy ?? 'unknown'));
    });
    if (exit !== 0) {
      throw new Error(
        `"${command.join(' ')}" ended with ${exit}. Its last lines (all of them in ${logFile}):\n${tail.join('\n')}`,
      );
    }
    return output.join('\n');
  } finally {
    log.end();
    await finished(log);
  }
}
