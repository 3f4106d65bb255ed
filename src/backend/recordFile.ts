import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import writeFileAtomic from 'write-file-atomic';
import { backendRecordFile, backendRecordSchema, type BackendRecord } from '../protocol/backendRecord.ts';

/** Tells clients where this backend is. To be called once it listens. */
export async function announceBackend(storage: string, record: BackendRecord): Promise<void> {
  await writeFileAtomic(join(storage, backendRecordFile), `${JSON.stringify(record, null, 2)}\n`, { mode: 0o600 });
}

/** Takes the announcement back, unless another backend has made its own by now. */
export async function withdrawBackend(storage: string, record: BackendRecord): Promise<void> {
  const path = join(storage, backendRecordFile);
  try {
    const current = backendRecordSchema.safeParse(JSON.parse(await readFile(path, 'utf8')));
    if (current.success && current.data.address === record.address && current.data.pid === record.pid) await rm(path);
  } catch {
    // Missing or unreadable: nothing that could lead a client to this process.
  }
}
