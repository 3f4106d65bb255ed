import { readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import writeFileAtomic from 'write-file-atomic';
import { backendRecordFile, backendRecordSchema, type BackendRecord } from '../protocol/backendRecord.ts';
import { pidExists } from './processIdentity.ts';

/** Tells clients where this backend is. To be called once it listens. */
export async function announceBackend(storage: string, record: BackendRecord): Promise<void> {
  await writeFileAtomic(join(storage, backendRecordFile), `${JSON.stringify(record, null, 2)}\n`, { mode: 0o600 });
}

/** Takes the announcement back, unless another backend has made its own by now. */
export async function withdrawBackend(storage: string, record: BackendRecord): Promise<void> {
  const current = readRecord(storage);
  if (current?.address === record.address && current.pid === record.pid) await rm(join(storage, backendRecordFile));
}

/** Id of the running process that clients are told to go to, or null. */
export function announcedProcess(storage: string): number | null {
  const record = readRecord(storage);
  return record !== null && pidExists(record.pid) ? record.pid : null;
}

function readRecord(storage: string): BackendRecord | null {
  try {
    const parsed = backendRecordSchema.safeParse(JSON.parse(readFileSync(join(storage, backendRecordFile), 'utf8')));
    return parsed.success ? parsed.data : null;
  } catch {
    return null;
  }
}
