import type { BackendRecord } from '../../protocol/backendRecord.ts';
import type { CwmError } from '../../protocol/errors.ts';
import { isUnwritable, storageError } from '../../store/disk/storageError.ts';
import { takeBackendLock, type LockResult } from './backendLock.ts';
import { runSystem } from './runSystem.ts';
import { announceBackend, withdrawBackend } from './recordFile.ts';
import { makeRunDirectory } from '../../base/runDirectory.ts';

/**
 * Where a backend writes its lock, log and record: the storage directory, or a run directory when the storage directory cannot be
 * written. Such a store can still be read.
 */
export class OwnPlace {
  readonly #storage: string;
  #directory: string;
  #recordDirectory: string | null = null;
  #readOnlyWhy: CwmError | null = null;

  constructor(storage: string) {
    this.#storage = storage;
    this.#directory = storage;
  }

  /** Of the lock and the log. */
  get directory(): string {
    return this.#directory;
  }

  /** Why nothing may be written to the storage directory; null when it may. */
  get readOnlyWhy(): CwmError | null {
    return this.#readOnlyWhy;
  }

  /** @throws Node's own error when the lock fits into neither place. */
  takeLock(onLost: () => void): LockResult {
    try {
      return takeBackendLock(this.#directory, onLost);
    } catch (error) {
      const runDirectory = isUnwritable(error) ? makeRunDirectory(this.#storage, runSystem()) : null;
      if (runDirectory === null) throw error;
      this.#directory = runDirectory;
      this.#readOnlyWhy = storageError(error, 'write', this.#storage);
      return takeBackendLock(this.#directory, onLost);
    }
  }

  /** Writes the record. The disk may have filled up since the lock was taken: then the record alone is in the run directory. */
  async announce(record: BackendRecord): Promise<void> {
    try {
      await announceBackend(this.#directory, record);
    } catch (error) {
      this.#recordDirectory = isUnwritable(error) ? makeRunDirectory(this.#storage, runSystem()) : null;
      if (this.#recordDirectory === null) throw error;
      await announceBackend(this.#recordDirectory, record);
    }
  }

  /** Removes the record, wherever {@link announce} wrote it. */
  withdraw(record: BackendRecord): Promise<void> {
    return withdrawBackend(this.#recordDirectory ?? this.#directory, record);
  }
}
