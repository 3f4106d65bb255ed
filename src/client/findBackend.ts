import { setTimeout as delay } from 'node:timers/promises';
import type { BackendRecord } from '../protocol/backendRecord.ts';
import { CwmError, toCwmError } from '../protocol/errors.ts';
import { apiVersions, meet, productVersion, type ApiVersions, type Meeting } from '../protocol/version.ts';
import { BackendChild, type BackendStart } from './backendChild.ts';
import { answers, readBackendRecord } from './backendRecord.ts';
import { retireBackend } from './retireBackend.ts';

const pollMs = 50;

export interface FindOptions {
  /** Absolute. */
  readonly storage: string;
  /** Default: that of this program. */
  readonly api?: ApiVersions;
  /** Null to find a running backend only. */
  readonly start: BackendStart | null;
  /** How long a backend may take to answer after its start. */
  readonly deadlineMs: number;
  /** How long the operations of an older backend are waited for; default 10 minutes. */
  readonly retireMs?: number;
}

/** The backend of this storage directory if one that this program can talk to is running. Starts and ends nothing. */
export async function findBackend(
  { storage, api = apiVersions }: Pick<FindOptions, 'storage' | 'api'>,
  signal: AbortSignal,
): Promise<BackendRecord | null> {
  const record = await readBackendRecord(storage);
  return record && meet(api, record.api) === 'fits' && (await answers(record, signal)) ? record : null;
}

/**
 * The backend of this storage directory, started when there is none. When several clients start one at once, one backend takes the
 * directory and the others end. A backend that is older than this program retires first: it ends when its operations have ended.
 *
 * @throws CwmError BackendUnavailable when none answers before the deadline, with the end of the log; the reason that a backend gave
 *   when it could not start, like EncryptionKey; UnsupportedSchema when the running backend no longer speaks this program's version of
 *   the API; AccessDenied when the storage directory is another user's; Cancelled when aborted.
 */
export async function findOrStartBackend(options: FindOptions, signal: AbortSignal): Promise<BackendRecord> {
  for (;;) {
    const record = await readBackendRecord(options.storage);
    const meeting = await meetingWith(record, options, signal);
    if (record && meeting === 'fits') return record;
    if (record && meeting === 'client too old') throw clientTooOld(record);
    if (!options.start) throw notRunning(options.storage, meeting === null ? null : record);
    if (record && meeting === 'backend too old') await retireBackend(record, options.retireMs, signal);
    const started = await startUntilOneAnswers(options, options.start, signal);
    if (started) return started;
  }
}

/** Null when no backend answers. */
async function meetingWith(
  record: BackendRecord | null,
  { api = apiVersions }: Pick<FindOptions, 'api'>,
  signal: AbortSignal,
): Promise<Meeting | null> {
  return record && (await answers(record, signal)) ? meet(api, record.api) : null;
}

/** Null when another client was faster and its backend has a version that this program must deal with first. */
async function startUntilOneAnswers(
  options: FindOptions,
  start: BackendStart,
  signal: AbortSignal,
): Promise<BackendRecord | null> {
  const { storage } = options;
  const deadline = AbortSignal.timeout(options.deadlineMs);
  const ended = AbortSignal.any([signal, deadline]);
  let child: BackendChild | null = null;
  let isTaken = false;
  try {
    for (;;) {
      const record = await readBackendRecord(storage);
      const meeting = await meetingWith(record, options, ended);
      if (meeting !== null) return meeting === 'fits' ? record : null;
      if (!child || child.exited) {
        child?.throwIfFailed();
        isTaken = child !== null;
        child = new BackendChild(storage, start);
      }
      await delay(pollMs, undefined, { signal: ended });
    }
  } catch (error) {
    if (signal.aborted) throw toCwmError(signal.reason);
    if (!deadline.aborted) throw error;
    const seconds = Math.round(options.deadlineMs / 1000);
    const message = isTaken
      ? `Another backend has the storage directory, and did not answer within ${seconds} s.`
      : `No backend answered within ${seconds} s.${child?.logTail ?? ''}`;
    const hint =
      'It may be encrypting or decrypting everything first: try again in a few minutes. ' +
      'A backend of an older version cannot prove on Windows who it is: end its process.';
    throw new CwmError('BackendUnavailable', message, { cause: error, ...(isTaken && { hint }) });
  }
}

const clientTooOld = ({ version }: BackendRecord): CwmError =>
  new CwmError(
    'UnsupportedSchema',
    `The running backend is version ${version} and no longer understands this program, which is version ${productVersion}.`,
    { hint: 'Update this program: the extension in VS Code, or the package of the command line.' },
  );

function notRunning(storage: string, older: BackendRecord | null): CwmError {
  const why = older
    ? `The backend of ${storage} has version ${older.version} and is older than this program, version ${productVersion}.`
    : `No backend is running for ${storage}.`;
  return new CwmError('BackendUnavailable', why, { hint: 'Start one with "cwm serve".' });
}
