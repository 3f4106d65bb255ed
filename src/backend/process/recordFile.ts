import { readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import writeFileAtomic from 'write-file-atomic';
import { backendRecordFile, backendRecordSchema, type BackendRecord } from '../../protocol/backendRecord.ts';

/** Tells clients where this backend is. To be called once it listens. */
export async function announceBackend(storage: string, record: BackendRecord): Promise<void> {
  await writeFileAtomic(join(storage, backendRecordFile), `${JSON.stringify(record, null, 2)}\n`, { mode: 0o600 });
}

/** Takes the announcement back, unless another backend has made its own by now. */
export async function withdrawBackend(storage: string, record: BackendRecord): Promise<void> {
  const current = readRecord(storage);
  if (current?.address === record.address && current.pid === record.pid) await rm(join(storage, backendRecordFile));
}

/** Whether clients are told to go to this process. What a backend that was killed has left names another one. */
export const isAnnounced = (storage: string, pid: number): boolean => readRecord(storage)?.pid === pid;

function readRecord(storage: string): BackendRecord | null {
  try {
    const parsed = backendRecordSchema.safeParse(JSON.parse(readFileSync(join(storage, backendRecordFile), 'utf8')));
    return parsed.success ? parsed.data : null;
  } catch {
    return null;
  }
}
