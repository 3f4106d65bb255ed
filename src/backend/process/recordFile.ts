import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import {
  backendRecordFile,
  mostBackendRecordBytes,
  parseBackendRecord,
  type BackendRecord,
} from '../../protocol/backendRecord.ts';

/**
 * Tells clients where this backend is; call it once it listens. A reader of the file sees the whole old record or the whole new one. It
 * is written without chmod, which some file systems refuse.
 */
export async function announceBackend(storage: string, record: BackendRecord): Promise<void> {
  const path = join(storage, backendRecordFile);
  const written = `${path}.new`;
  // Only the holder of the lock writes it, so a crash left any file that is in the way.
  await rm(written, { force: true });
  const handle = await open(written, 'wx', 0o600);
  try {
    await handle.writeFile(`${JSON.stringify(record, null, 2)}\n`);
  } finally {
    await handle.close();
  }
  await rename(written, path);
}

/** Removes the announcement, unless another backend has made its own by now. */
export async function withdrawBackend(storage: string, record: BackendRecord): Promise<void> {
  const current = readRecord(storage);
  if (current?.address === record.address && current.pid === record.pid) await rm(join(storage, backendRecordFile));
}

/** Whether the record names this process. A backend that was killed leaves a record, which names another one. */
export const isAnnounced = (storage: string, pid: number): boolean => readRecord(storage)?.pid === pid;

function readRecord(storage: string): BackendRecord | null {
  try {
    return parseBackendRecord(JSON.parse(readShort(join(storage, backendRecordFile))));
  } catch {
    return null;
  }
}

/** @throws Error for what is no short file: a device or a named pipe would never end. */
function readShort(path: string): string {
  const file = openSync(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0));
  try {
    const found = fstatSync(file);
    if (!found.isFile() || found.size > mostBackendRecordBytes) throw new Error(`${path} is no record.`);
    return readFileSync(file, 'utf8');
  } finally {
    closeSync(file);
  }
}
