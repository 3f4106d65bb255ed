import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { backendRecordFile, backendRecordSchema, type BackendRecord } from '../protocol/backendRecord.ts';
import { requestBackend, type BackendRequest } from './transport.ts';

const probeTimeoutMs = 5000;

/** What the storage directory says about its backend, which may be gone by now; null when it says nothing usable. */
export async function readBackendRecord(storage: string): Promise<BackendRecord | null> {
  try {
    const parsed = backendRecordSchema.safeParse(JSON.parse(await readFile(join(storage, backendRecordFile), 'utf8')));
    return parsed.success ? parsed.data : null;
  } catch {
    return null;
  }
}

/** Whether the backend of this record answers. */
export async function answers(record: BackendRecord, signal: AbortSignal): Promise<boolean> {
  return await succeeds(record, { method: 'GET', path: '/api/health' }, signal);
}

/** Asks the backend to end. @returns whether it heard; it ends after its answer, when its operations have. */
export async function askToLeave(record: BackendRecord, signal: AbortSignal): Promise<boolean> {
  return await succeeds(record, { method: 'POST', path: '/api/shutdown', body: '{}' }, signal);
}

async function succeeds(record: BackendRecord, request: BackendRequest, signal: AbortSignal): Promise<boolean> {
  try {
    const answer = await requestBackend(record, request, { timeoutMs: probeTimeoutMs, signal });
    return answer.status === 200;
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof Error) return false;
    throw error;
  }
}
