import { copyFileSync, fstatSync, openSync, closeSync, truncateSync, writeSync } from 'node:fs';
import { CwmError } from '../../protocol/errors.ts';

const defaultMaxBytes = 2 * 1024 * 1024;

/** From the least urgent to the most urgent. */
export const logLevels = ['info', 'warning', 'error'] as const;
export type LogLevel = (typeof logLevels)[number];

/** Facts of one event. Never a message's text, a cache salt or a key. */
export type LogFields = Readonly<Record<string, string | number | boolean | null | undefined>>;

export interface Log {
  write(level: LogLevel, event: string, fields?: LogFields): void;
  /** An error with its causes and stacks: what is kept from the user. */
  failure(event: string, error: unknown, fields?: LogFields): void;
}

/**
 * The backend's log: JSON lines, never more than `maxBytes` in the file and as much again in `<path>.1`.
 *
 * A full file is copied away and emptied instead of renamed, because the process' own stdout and stderr are open on it too.
 * Writing is synchronous, so that the last line before a crash is there.
 */
export class LogFile implements Log {
  readonly #path: string;
  readonly #maxBytes: number;
  readonly #least: LogLevel;
  readonly #descriptor: number;

  /**
   * @param least what is less urgent is not written; default `info`, which is everything.
   * @param maxBytes default 2 MiB.
   */
  constructor(path: string, least: LogLevel = 'info', maxBytes: number = defaultMaxBytes) {
    this.#path = path;
    this.#least = least;
    this.#maxBytes = maxBytes;
    this.#descriptor = openSync(path, 'a', 0o600);
  }

  write(level: LogLevel, event: string, fields: LogFields = {}): void {
    if (logLevels.indexOf(level) < logLevels.indexOf(this.#least)) return;
    const line = `${JSON.stringify({ at: new Date().toISOString(), level, event, ...fields })}\n`;
    try {
      if (fstatSync(this.#descriptor).size + Buffer.byteLength(line) > this.#maxBytes) this.#rotate();
      writeSync(this.#descriptor, line);
    } catch {
      // A full disk must not end the operation that is being logged.
    }
  }

  failure(event: string, error: unknown, fields: LogFields = {}): void {
    this.write('error', event, { ...fields, ...describeError(error) });
  }

  close(): void {
    closeSync(this.#descriptor);
  }

  #rotate(): void {
    copyFileSync(this.#path, `${this.#path}.1`);
    truncateSync(this.#path);
  }
}

function describeError(error: unknown): LogFields {
  if (!(error instanceof Error)) return { error: `a thrown ${typeof error}` };
  return {
    code: error instanceof CwmError ? error.code : ((error as NodeJS.ErrnoException).code ?? error.name),
    error: causeChain(error),
    stack: error.stack?.split('\n    at ').slice(1).join(' < '),
  };
}

/** Messages from the error down to its deepest cause, at most 5: a chain may end in itself. */
function causeChain(error: Error): string {
  const messages: string[] = [];
  for (let at: unknown = error; at instanceof Error && messages.length < 5; at = at.cause) messages.push(at.message);
  return messages.join(' ← ').slice(0, 4000);
}
