import { copyFileSync, fstatSync, openSync, closeSync, truncateSync, writeSync } from 'node:fs';
import { CwmError } from '../../protocol/errors.ts';
import { logLevels, type LogFormat, type LogLevel } from '../../protocol/log.ts';
import { currentFacts } from '../requestScope.ts';

const defaultMaxBytes = 2 * 1024 * 1024;

/** Facts of one event. Never a message's text, a cache salt or a key. */
export type LogFields = Readonly<Record<string, string | number | boolean | null | undefined>>;

export interface Log {
  write(level: LogLevel, event: string, fields?: LogFields): void;
  /** An error with its causes and stack, which no client gets to see. */
  failure(event: string, error: unknown, fields?: LogFields): void;
}

export interface LogFileOptions {
  /** Lines that are less urgent are not written. */
  readonly level?: LogLevel | undefined;
  readonly format?: LogFormat | undefined;
  readonly maxBytes?: number | undefined;
}

type Format = (at: string, level: LogLevel, event: string, fields: LogFields) => string;

const formats: Readonly<Record<LogFormat, Format>> = {
  json: (at, level, event, fields) => JSON.stringify({ at, level, event, ...fields }),
  text: (at, level, event, fields) => [at, level.padEnd(7), event, ...Object.entries(fields).flatMap(pair)].join(' '),
};

const pair = ([name, value]: [string, LogFields[string]]): string[] =>
  value === undefined
    ? []
    : [`${name}=${typeof value === 'string' && !/^[\w.:-]+$/.test(value) ? JSON.stringify(value) : value}`];

/**
 * The backend's log: never more than `maxBytes` in the file and as much again in `<path>.1`. A line that belongs to a request names its
 * operation, session and window.
 *
 * A full file is copied and emptied instead of renamed, because the process' own stdout and stderr are open on it too. Writing is
 * synchronous, so that the file has the last line before a crash.
 */
export class LogFile implements Log {
  readonly #path: string;
  readonly #maxBytes: number;
  readonly #least: LogLevel;
  readonly #format: LogFormat;
  readonly #descriptor: number;

  /** Defaults: level `info`, format `json`, 2 MiB. */
  constructor(path: string, options: LogFileOptions = {}) {
    this.#path = path;
    this.#maxBytes = options.maxBytes ?? defaultMaxBytes;
    this.#least = options.level ?? 'info';
    this.#format = options.format ?? 'json';
    this.#descriptor = openSync(path, 'a', 0o600);
  }

  write(level: LogLevel, event: string, fields: LogFields = {}): void {
    if (logLevels.indexOf(level) < logLevels.indexOf(this.#least)) return;
    const line = `${formats[this.#format](new Date().toISOString(), level, event, { ...currentFacts(), ...fields })}\n`;
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
