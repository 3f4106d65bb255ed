import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, constants, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { alreadyRunningExitCode, backendLogFile } from '../protocol/backendRecord.ts';
import { CwmError } from '../protocol/errors.ts';
import { startFailureIn } from '../protocol/startFailure.ts';
import { cannotBeWritten, makeStorageDirectory } from './storageDirectory.ts';

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
 * V8's young generation, in MiB for each half. With the default of 16 a backend that reads 10,000 windows to rebuild its index held
 * 45 MB more than with 4, and was no faster (`npm run bench -- N16`).
 */
const nodeFlags = ['--max-semi-space-size=4', '--optimize-for-size'];

/**
 * A backend on its way up. It belongs to nobody: it outlives this process, and writes its stdout and stderr to the log of
 * its storage directory.
 */
export class BackendChild {
  readonly #storage: string;
  readonly #child: ChildProcess;
  #failure: string | undefined;
  #exited = false;

  /** @throws CwmError WriteFailed when the storage directory can't be written. */
  constructor(storage: string, start: BackendStart) {
    this.#storage = storage;
    const log = openLog(storage);
    try {
      this.#child = spawn(start.nodePath, [...nodeFlags, start.entry, '--storage', storage, ...(start.args ?? [])], {
        cwd: storage,
        detached: true,
        env: { ...process.env, ...start.env },
        stdio: ['ignore', log, log],
        windowsHide: true,
      });
    } finally {
      closeSync(log);
    }
    this.#child.unref();
    this.#child.once('error', (error) => this.#end(`${start.nodePath} can't be run (${error.message})`));
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

  /** @throws CwmError what it gave as the reason in its log; BackendUnavailable with the log's end when it could not start and gave none. */
  throwIfFailed(): void {
    if (this.#failure === undefined) return;
    const end = logEnd(this.#storage);
    const told = this.#child.pid === undefined ? null : startFailureIn(end, this.#child.pid);
    if (told) throw told;
    throw new CwmError('BackendUnavailable', `The backend could not start: ${this.#failure}.${quoted(end)}`, {
      hint: `The log is ${join(this.#storage, backendLogFile)}.`,
    });
  }

  #end(failure: string | undefined): void {
    this.#exited = true;
    this.#failure = failure;
  }
}

/** A link in the log's place would have this process write to any file of its user. Windows has no such flag. */
const appendFlags = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | (constants.O_NOFOLLOW ?? 0);

function openLog(storage: string): number {
  makeStorageDirectory(storage);
  try {
    return openSync(join(storage, backendLogFile), appendFlags, 0o600);
  } catch (error) {
    throw cannotBeWritten(storage, error);
  }
}

const tailLines = 8;
const tailCharacters = 2000;

/** The last lines of the log, to be put behind a message; empty when there are none. */
export const logTail = (storage: string): string => quoted(logEnd(storage));

const quoted = (end: string): string => (end === '' ? '' : ` Its log ends with:\n${end}`);

function logEnd(storage: string): string {
  let text: string;
  try {
    text = readFileSync(join(storage, backendLogFile), 'utf8');
  } catch {
    return '';
  }
  const lines = text.trimEnd().split('\n').slice(-tailLines);
  return lines.join('\n').slice(-tailCharacters);
}
