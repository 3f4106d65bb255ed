import { CwmError } from '../../protocol/errors.ts';
import { isFull, roomLeft, storageError, type Access } from '../disk/storageError.ts';
import type { StoreDisk } from '../disk/storeDisk.ts';
import type { IndexedRecord, RecordListener } from '../index/liveIndex.ts';
import type { Accesses } from './accesses.ts';

type AnyMethod = (...given: readonly unknown[]) => Promise<unknown>;
type AnyAccess = Access | ((...given: readonly unknown[]) => IndexedRecord);

/**
 * Stands before every part of the open store. It refuses writes to a read-only store and everything after the close, gives failures their
 * code, and tells the indexes which record a write may have changed.
 */
export class StoreGuard {
  readonly #parts: StoreDisk;
  readonly #indexes: RecordListener;
  readonly #running = new Set<Promise<unknown>>();
  /** Why nothing may be written; null when the store can be changed. */
  readonly readOnlyWhy: CwmError | null;
  #closed = false;

  constructor(parts: StoreDisk, indexes: RecordListener, readOnlyWhy: CwmError | null) {
    this.#parts = parts;
    this.#indexes = indexes;
    this.readOnlyWhy = readOnlyWhy;
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  /** The part behind this guard. @param of what each of its methods does; only these methods are there. */
  part<Part extends object>(of: Accesses<Part>, part: Part): Part {
    const methods = (Object.entries(of) as [keyof Part, AnyAccess][]).map(([name, access]) => {
      const method = (part[name] as AnyMethod).bind(part);
      return [name, this.#guarded(access, method)];
    });
    return Object.fromEntries(methods) as Part;
  }

  async run<T>(access: Access, operation: () => Promise<T>): Promise<T> {
    if (access === 'write' && this.readOnlyWhy) throw this.readOnlyWhy;
    if (this.#closed) throw new CwmError('BackendUnavailable', 'The store is closed: the backend is ending.');
    const running = Promise.resolve().then(operation);
    this.#running.add(running);
    try {
      return await running;
    } catch (error) {
      const { files, layout } = this.#parts;
      throw storageError(error, access, layout.root, isFull(error) ? await roomLeft(files, layout.root) : null);
    } finally {
      this.#running.delete(running);
    }
  }

  /** Refuses what is called from now on. */
  close(): void {
    this.#closed = true;
  }

  /** Waits for the operations that run. */
  async rest(): Promise<void> {
    await Promise.allSettled(this.#running);
  }

  #guarded(access: AnyAccess, method: AnyMethod): AnyMethod {
    if (typeof access !== 'function') return (...given) => this.run(access, () => method(...given));
    // Also after a failure: a part of the write may be on the disk.
    return (...given) =>
      this.run('write', () => method(...given).finally(() => this.#indexes.changed(access(...given))));
  }
}
