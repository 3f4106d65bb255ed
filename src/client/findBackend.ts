import { setTimeout as delay } from 'node:timers/promises';
import type { BackendRecord } from '../protocol/backendRecord.ts';
import { CwmError, toCwmError } from '../protocol/errors.ts';
import { BackendChild, logTail, type BackendStart } from './backendChild.ts';
import { answers, askToLeave, readBackendRecord } from './backendRecord.ts';

const pollMs = 50;

export interface FindOptions {
  /** Absolute. */
  readonly storage: string;
  readonly version: string;
  /** Null to find a running backend only. */
  readonly start: BackendStart | null;
  readonly deadlineMs: number;
}

/** The backend of this storage directory if one of this version is running. Starts and ends nothing. */
export async function findBackend(
  options: Pick<FindOptions, 'storage' | 'version'>,
  signal: AbortSignal,
): Promise<BackendRecord | null> {
  const record = await readBackendRecord(options.storage);
  return record?.version === options.version && (await answers(record, signal)) ? record : null;
}

/**
 * The backend of this storage directory, started when there is none. One of another version is asked to leave first. However
 * many clients do this at once, there is one backend in the end: the others find the directory taken and end.
 *
 * @throws CwmError BackendUnavailable when none answers before the deadline, with the end of the log; what it gave as the reason when it could
 *   not start, like EncryptionKey; Cancelled when aborted.
 */
export async function findOrStartBackend(options: FindOptions, signal: AbortSignal): Promise<BackendRecord> {
  const { storage, version, start } = options;
  const deadline = AbortSignal.timeout(options.deadlineMs);
  const ended = AbortSignal.any([signal, deadline]);
  let child: BackendChild | null = null;
  let asked: string | undefined;
  let isTaken = false;
  try {
    for (;;) {
      const record = await readBackendRecord(storage);
      if (record?.version === version && (await answers(record, ended))) return record;
      if (!start) throw notRunning(storage, record, version);
      if (record && record.version !== version && record.address !== asked && (await askToLeave(record, ended))) {
        asked = record.address;
      }
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
      : `No backend answered within ${seconds} s.${logTail(storage)}`;
    const hint = 'It may be encrypting or decrypting everything first: try again in a few minutes.';
    throw new CwmError('BackendUnavailable', message, { cause: error, ...(isTaken && { hint }) });
  }
}

function notRunning(storage: string, record: BackendRecord | null, version: string): CwmError {
  const why =
    record && record.version !== version
      ? `The backend of ${storage} has version ${record.version}, this is ${version}.`
      : `No backend is running for ${storage}.`;
  return new CwmError('BackendUnavailable', why, { hint: 'Start one with "cwm serve".' });
}
