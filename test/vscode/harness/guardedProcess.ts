import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { once } from 'node:events';
import { onShutdown } from './shutdown.ts';
import { within } from './waitUntil.ts';

const TAIL_CHARACTERS = 20_000;
const KILL_LIMIT_MS = 5_000;

/**
 * Starts the command in its own process group beside a watcher that waits for the end of a pipe held by us. When we stop the
 * command, exit, crash or are killed with SIGKILL, the pipe ends and the watcher kills the group, and on Linux also every process
 * that left the group but still carries the run's id in its environment (a daemon that an extension started, say). Ids add up, so
 * that the outer one of two nested watchers reaches what the inner one, killed by it, watched over.
 */
const GUARD = `
exec 3<&0
id=$1; shift
(
  trap '' TERM INT HUP
  cat <&3 >/dev/null
  for file in $(grep -lsaF "$id" /proc/[0-9]*/environ); do
    pid=\${file#/proc/}; kill -KILL "\${pid%/environ}"
  done
  kill -KILL 0
) 2>/dev/null &
exec env "CWM_HARNESS_RUN=\${CWM_HARNESS_RUN-} $id" "$@" 3<&- </dev/null
`;

export interface GuardedOptions {
  readonly cwd?: string;
  /** The whole environment of the command. Default: ours. */
  readonly environment?: NodeJS.ProcessEnv;
  /** A file that receives stdout and stderr. */
  readonly logPath?: string;
  /** Called with each piece of output. */
  readonly onOutput?: (text: string) => void;
  /** How long `stop` waits between SIGTERM and SIGKILL. Default 4000. */
  readonly graceMs?: number;
}

export interface GuardedProcess {
  readonly pid: number | undefined;
  /** Settles when the command is gone; `code` is null when a signal ended it. Never rejects. */
  readonly exited: Promise<{ readonly code: number | null }>;
  /** The last few thousand characters that the command wrote. */
  tail(): string;
  /** Ends the command and everything it started. Harmless when it is gone already. */
  stop(): Promise<void>;
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGTERM');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error; // gone in between
  }
}

/** Starts a command that cannot outlive this process. See GUARD. On Windows only the command itself and its tree are ended. */
export function startGuarded(command: string, args: readonly string[], options: GuardedOptions = {}): GuardedProcess {
  const windows = process.platform === 'win32';
  const [file, fileArgs] = windows
    ? [command, args]
    : ['/bin/sh', ['-c', GUARD, 'guard', randomUUID(), command, ...args]];
  const child = spawn(file, fileArgs, {
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: !windows,
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    env: options.environment ?? process.env,
  });
  const log = options.logPath === undefined ? undefined : createWriteStream(options.logPath, { flags: 'a' });
  let tail = '';
  const receive = (text: string): void => {
    tail = (tail + text).slice(-TAIL_CHARACTERS);
    log?.write(text);
    options.onOutput?.(text);
  };
  child.stdout.setEncoding('utf8').on('data', receive);
  child.stderr.setEncoding('utf8').on('data', receive);
  child.stdin.on('error', () => undefined); // EPIPE when the watcher is gone before us: what we want anyway

  const closed = once(child, 'close').catch(() => undefined);
  const exited = new Promise<{ readonly code: number | null }>((resolve) => {
    child.once('error', (error) => {
      receive(`${error.message}\n`);
      resolve({ code: 127 });
    });
    child.once('exit', (code) => {
      child.stdin.end(); // lets the watcher end what the command left behind
      resolve({ code });
    });
  });
  void closed.then(() => log?.end());

  const end = (): void => {
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    if (windows) spawn('taskkill', ['/pid', String(child.pid), '/T', '/F'], { stdio: 'ignore' });
    else killGroup(child.pid);
  };
  const stop = async (): Promise<void> => {
    withdraw();
    end();
    await within(exited, options.graceMs ?? 4_000);
    child.stdin.end();
    await within(closed, KILL_LIMIT_MS);
  };
  const withdraw = onShutdown('processes', stop);
  void closed.then(withdraw);
  return { pid: child.pid, exited, tail: () => tail.trim(), stop };
}
