import { hostname } from 'node:os';
import type { BackendRecord } from '../../protocol/backendRecord.ts';
import { CwmError } from '../../protocol/errors.ts';
import { isUnwritable, storageError } from '../../store/disk/storageError.ts';
import { takeBackendLock, type LockResult } from './backendLock.ts';
import { runSystem } from './runSystem.ts';
import { SeenLocks } from './seenLocks.ts';
import { announceBackend, withdrawBackend } from './recordFile.ts';
import { makeRunDirectory } from '../../base/runDirectory.ts';

/** The storage directory is on a drive of several machines, or a program synchronises it. */
const usedOn = (host: string, storage: string): CwmError =>
  new CwmError(
    'WriteFailed',
    `The storage directory ${storage} is in use on another machine, "${host}", so it is opened here for reading only.`,
    {
      hint: `End the backend on "${host}" ("cwm stop"), and try again. Where it has crashed, a change is taken here two minutes after the first try.`,
    },
  );

/**
 * Where a backend writes its lock, log and record: the storage directory, or a run directory when the storage directory cannot be
 * written or a backend of another machine works on it. Such a store can still be read.
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
      const others = new SeenLocks(() => makeRunDirectory(this.#storage, runSystem()));
      const taken = takeBackendLock(this.#directory, onLost, others);
      const host = taken.held ? hostname() : (taken.by?.host ?? hostname());
      return host === hostname() ? taken : (this.#takeElsewhere(usedOn(host, this.#storage), onLost) ?? taken);
    } catch (error) {
      const why = isUnwritable(error) ? storageError(error, 'write', this.#storage) : null;
      const taken = why && this.#takeElsewhere(why, onLost);
      if (!taken) throw error;
      return taken;
    }
  }

  /** @returns null where there is no other place. */
  #takeElsewhere(why: CwmError, onLost: () => void): LockResult | null {
    const runDirectory = makeRunDirectory(this.#storage, runSystem());
    if (runDirectory === null) return null;
    this.#directory = runDirectory;
    this.#readOnlyWhy = why;
    return takeBackendLock(runDirectory, onLost);
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
