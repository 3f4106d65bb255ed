import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as delay } from 'node:timers/promises';

/** SQLite's result code for "somebody else holds the lock". */
const sqliteBusy = 5;
const retryMs = 250;

/**
 * Runs `task` while no other process on this machine runs one under the same lock file.
 *
 * The lock is SQLite's own on an empty database: the operating system drops it when its holder dies in whatever way, so there
 * is no stale lock to detect. The file stays behind, unlocked. `onWait` is called once, when the lock is not free at once.
 *
 * @throws the signal's reason when it is aborted while waiting; the task then never starts.
 */
export async function withFileLock<T>(
  file: string,
  task: () => Promise<T>,
  { signal, onWait }: { signal?: AbortSignal; onWait?: () => void } = {},
): Promise<T> {
  await mkdir(dirname(file), { recursive: true });
  const database = new DatabaseSync(file);
  try {
    for (let waited = false; !tryToLock(database); waited = true) {
      if (!waited) onWait?.();
      await delay(retryMs, undefined, { signal });
    }
    signal?.throwIfAborted();
    return await task();
  } finally {
    database.close();
  }
}

function tryToLock(database: DatabaseSync): boolean {
  try {
    database.exec('BEGIN EXCLUSIVE');
    return true;
  } catch (error) {
    if (error instanceof Error && 'errcode' in error && error.errcode === sqliteBusy) return false;
    throw error;
  }
}
