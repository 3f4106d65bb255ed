import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync } from 'node:fs';
import { alreadyRunningExitCode } from '../protocol/backendRecord.ts';
import { CwmError } from '../protocol/errors.ts';
import { startFailureIn } from '../protocol/startFailure.ts';
import { logEnd, openBackendLog } from './backendLog.ts';

/** How to start a backend: on which Node, from which file. */
export interface BackendStart {
  readonly nodePath: string;
  /** `dist/backend.js`, or `src/backend/main.ts` in a checkout. */
  readonly entry: string;
  /** Given after `--storage DIR`. */
  readonly args?: readonly string[];
  /** Over this process' own environment; undefined removes a variable. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/**
 * V8's young generation, in MiB for each half: with the default of 16 a backend that reads 10,000 windows to rebuild its index held 45 MB more
 * than with 4, and was no faster (`npm run bench -- N16`). It is collected by one thread: others are quicker only on idle cores, and on busy ones
 * the backend waits for them. `--optimize-for-size` saves nothing here, and has four times as many collections (`npm run bench -- GATEWAY`).
 */
const nodeFlags = ['--max-semi-space-size=4', '--no-parallel-scavenge'];

/**
 * Where glibc allocates: otherwise each thread of Node's pool has a place of its own, and keeps what it needed once. A backend behind 10,000 requests
 * of the gateway had 40 MB there with 1 MB in use. Another allocator does not know the name.
 */
const allocatorEnv = { MALLOC_ARENA_MAX: '2' };

/** The arguments of Node that run a backend. */
export const backendCommandLine = (storage: string, { entry, args = [] }: BackendStart): readonly string[] => [
  ...nodeFlags,
  entry,
  '--storage',
  storage,
  ...args,
];

/**
 * A backend on its way up. It belongs to nobody: it outlives this process, and its stdout and stderr go to the log of its storage
 * directory.
 */
export class BackendChild {
  readonly #logPath: string;
  readonly #child: ChildProcess;
  #failure: string | undefined;
  #exited = false;

  /** @throws CwmError WriteFailed when there is no storage directory and none can be made. */
  constructor(storage: string, start: BackendStart) {
    const { path, descriptor: log } = openBackendLog(storage);
    this.#logPath = path;
    try {
      this.#child = spawn(start.nodePath, backendCommandLine(storage, start), {
        cwd: storage,
        detached: true,
        // They are for a backend that somebody starts as such: no client converts a store or opens a port without being asked.
        env: { ...allocatorEnv, ...process.env, CWM_ENCRYPTION: undefined, CWM_HTTP: undefined, ...start.env },
        stdio: ['ignore', log, log],
        windowsHide: true,
      });
    } finally {
      closeSync(log);
    }
    this.#child.unref();
    this.#child.once('error', (error) => this.#end(`${start.nodePath} cannot be run (${error.message})`));
    this.#child.once('exit', (code, signal) => {
      this.#end(
        code === 0 || code === alreadyRunningExitCode ? undefined : `it ended with ${signal ?? `status ${code}`}`,
      );
    });
  }

  /** Whether it has ended, which is no failure when another backend was there first. */
  get exited(): boolean {
    return this.#exited;
  }

  /** The last lines of its log, to stand behind a message; empty when there are none. */
  get logTail(): string {
    const end = logEnd(this.#logPath);
    return end === '' ? '' : ` Its log ends with:\n${end}`;
  }

  /** @throws CwmError the reason that it gave in its log; BackendUnavailable with the log's end when it could not start and gave none. */
  throwIfFailed(): void {
    if (this.#failure === undefined) return;
    const reason = this.#child.pid === undefined ? null : startFailureIn(logEnd(this.#logPath), this.#child.pid);
    if (reason) throw reason;
    throw new CwmError('BackendUnavailable', `The backend could not start: ${this.#failure}.${this.logTail}`, {
      hint: `The log is ${this.#logPath}.`,
    });
  }

  #end(failure: string | undefined): void {
    this.#exited = true;
    this.#failure = failure;
  }
}
