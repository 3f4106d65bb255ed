import { hostname } from 'node:os';
import { join } from 'node:path';
import { readFields } from '../base/fields.ts';
import {
  backendRecordFile,
  lastEndFile,
  parseBackendRecord,
  parseLastEnd,
  type BackendRecord,
  type LastEnd,
} from '../protocol/backendRecord.ts';
import { userRunDirectories } from './userRunDirectories.ts';
import { isOwnAddress, isOwnDirectory, readOwnFile } from './ownFiles.ts';
import { requestBackend, type BackendAnswer, type BackendRequest } from './transport.ts';

const probeTimeoutMs = 5000;

/**
 * The record of the storage directory's backend, which may have ended since. Null when there is no usable record, or when another user
 * may have written it.
 *
 * @throws CwmError AccessDenied when the storage directory belongs to another user.
 */
export async function readBackendRecord(storage: string): Promise<BackendRecord | null> {
  const inStorage = (await isOwnDirectory(storage)) ? await readRecordIn(storage) : null;
  const outside = await Promise.all(userRunDirectories(storage).map(readRecordIfOwn));
  // A backend that cannot write to the storage directory cannot remove what an earlier one left there either.
  return [inStorage, ...outside].reduce((latest, one) =>
    one && (latest === null || isBetter(one, latest)) ? one : latest,
  );
}

/** On a directory of several machines, a record may be another machine's, whose backend cannot be reached from here. */
function isBetter(one: BackendRecord, other: BackendRecord): boolean {
  const isHere = ({ host }: BackendRecord): boolean => host === undefined || host === hostname();
  return isHere(one) === isHere(other) ? one.startedAt > other.startedAt : isHere(one);
}

async function readRecordIfOwn(directory: string): Promise<BackendRecord | null> {
  const isOwn = await isOwnDirectory(directory).catch(() => false);
  return isOwn ? await readRecordIn(directory) : null;
}

async function readRecordIn(directory: string): Promise<BackendRecord | null> {
  const text = await readOwnFile(join(directory, backendRecordFile));
  return parseBackendRecord(parsed(text ?? ''));
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Whether the backend of this record answers: that very process, since the next one listens at the same place. */
export async function answers(record: BackendRecord, signal: AbortSignal): Promise<boolean> {
  const answer = await ask(record, { method: 'GET', path: '/api/health' }, signal);
  return answer?.status === 200 && pidIn(answer.body) === record.pid;
}

/** Asks the backend to stop. @returns whether it answered; it stops after that, when its operations have ended. */
export async function askToLeave(record: BackendRecord, signal: AbortSignal): Promise<boolean> {
  const answer = await ask(record, { method: 'POST', path: '/api/shutdown', body: '{}' }, signal);
  return isSuccess(answer);
}

/** What the end of this backend, which is over, came to. Null where nothing was lost. */
export async function readLastEnd(storage: string, { pid }: BackendRecord): Promise<LastEnd | null> {
  const text = await readOwnFile(join(storage, lastEndFile));
  const end = parseLastEnd(parsed(text ?? ''));
  return end?.pid === pid ? end : null;
}

/**
 * Asks the backend to retire: to stop when its operations have ended. @returns false when it did not answer, or is too old to know how.
 */
export async function askToRetire(record: BackendRecord, signal: AbortSignal): Promise<boolean> {
  const answer = await ask(record, { method: 'POST', path: '/api/retire', body: '{}' }, signal);
  return isSuccess(answer);
}

/** Those of later versions have no body, and say so: 204. */
const isSuccess = (answer: BackendAnswer | null): boolean =>
  answer !== null && answer.status >= 200 && answer.status < 300;

/** Null when there was no answer, or when another user may be the one that answers. */
async function ask(record: BackendRecord, request: BackendRequest, signal: AbortSignal): Promise<BackendAnswer | null> {
  if (!(await isOwnAddress(record.address))) return null;
  try {
    return await requestBackend(record, request, { timeoutMs: probeTimeoutMs, signal });
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof Error) return null;
    throw error;
  }
}

/** Reads nothing else, because a backend of another version may describe itself otherwise. */
function pidIn(health: string): number | null {
  try {
    return readFields(JSON.parse(health), { pid: 'number' })?.pid ?? null;
  } catch {
    return null;
  }
}
