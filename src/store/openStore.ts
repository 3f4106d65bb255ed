import type { Clock } from '../base/clock.ts';
import type { CwmError } from '../protocol/errors.ts';
import { openEncryption, type EncryptionWish } from './encryption/openEncryption.ts';
import { FileStore } from './fileStore.ts';
import { diskFiles, type Files } from './disk/files.ts';
import { Layout } from './disk/layout.ts';
import type { Migration } from './migrations/migration.ts';
import { migrations } from './migrations/migrations.ts';
import { latestFormat, prepareStore } from './migrations/prepareStore.ts';
import { makeDurableDirectory } from './check/recovery.ts';
import { isFull, roomLeft, storageError } from './disk/storageError.ts';

export interface StoreOptions {
  /** Absolute. Made when it is not there, mode 0700; may be a link itself, but nothing in it. */
  readonly directory: string;
  readonly clock: Clock;
  /** Where `sql-wasm.wasm` lies; default: beside the bundle, else in node_modules. */
  readonly sqlWasmPath?: string;
  /** Default: the machine's own file system. */
  readonly files?: Files;
  /** Default: leave the store as it is, with the key file that the store names. */
  readonly encryption?: EncryptionWish;
  /** Why nothing may be written; then the store is only read. Default: null, unless opening it shows a reason. */
  readonly readOnlyWhy?: CwmError | null;
  /** Id of a backup that takes the place of the records first. Default: none. */
  readonly restoreBackup?: string | null;
  /** Default: all steps. */
  readonly migrations?: readonly Migration[];
}

/**
 * Opens the store, takes it to this version's format and recovers what an earlier run left unfinished. One process at a time:
 * the caller holds the lock. A store that a later version wrote is opened for reading only, and so is one that cannot be written
 * ({@link StoreOptions.readOnlyWhy}).
 *
 * @throws CwmError WriteFailed, ReadFailed or StorageFull when the directory cannot be used, AccessDenied when a directory in it is a link,
 * EncryptionKey when it is encrypted and the key is missing or another one.
 */
export async function openStore(options: StoreOptions): Promise<FileStore> {
  const { directory, clock, files: plainFiles = diskFiles } = options;
  try {
    const { readOnlyWhy = null } = options;
    if (!readOnlyWhy) await makeDurableDirectory(plainFiles, directory);
    const root = await plainFiles.realPath(directory);
    const steps = options.migrations ?? migrations;
    const wish = options.encryption ?? { turn: null, keyFile: null };
    const { files, ...opened } = await openEncryption(
      plainFiles,
      new Layout(root),
      wish,
      latestFormat(steps),
      readOnlyWhy,
    );
    const prepared = await prepareStore(files, clock, root, steps, readOnlyWhy, options.restoreBackup ?? null);
    const store = new FileStore(prepared, opened, options.sqlWasmPath ?? null);
    if (!store.isReadOnly) await store.recover();
    return store;
  } catch (error) {
    throw storageError(error, 'write', directory, isFull(error) ? await roomLeft(plainFiles, directory) : null);
  }
}
