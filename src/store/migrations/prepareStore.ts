import { CwmError } from '../../protocol/errors.ts';
import type { Clock } from '../../base/clock.ts';
import type { Files } from '../disk/files.ts';
import { Layout } from '../disk/layout.ts';
import { recordFormatVersion } from '../disk/record.ts';
import { hasDirectory, makeStoreDisk, type StoreDisk } from '../disk/storeDisk.ts';
import { migrateStore, type MigrationDone } from './migrateStore.ts';
import type { Migration } from './migration.ts';
import { restoreBackup, type RestoredBackup } from './restoreBackup.ts';
import { encodeStoreRecord, readStoreFormat } from './storeFormat.ts';

export interface PreparedStore {
  readonly parts: StoreDisk;
  /** The store's format, also when it is later than the known one. */
  readonly formatVersion: number;
  /** The backup that was restored first; null: none was. */
  readonly restored: RestoredBackup | null;
  /** What was done to bring it to that format. */
  readonly migrated: readonly MigrationDone[];
  /** Null when it can be changed. */
  readonly readOnlyWhy: CwmError | null;
}

/** Of a store that went through all of them. */
export const latestFormat = (migrations: readonly Migration[]): number => migrations.at(-1)?.to ?? recordFormatVersion;

/**
 * Makes sure that a directory is a store of this version: makes a new one, takes an older one through its migrations. A store that a
 * later version wrote, or that cannot be written, is only read.
 *
 * @param root the storage directory, which is there, without links in its path.
 * @param wanted the backup to restore first; null: none.
 * @throws CwmError as {@link restoreBackup}, AccessDenied when a directory in it is a link, UnsupportedSchema when its format is unknown, `readOnlyWhy` when it
 *   would have to be changed before it can be read.
 */
export async function prepareStore(
  files: Files,
  clock: Clock,
  root: string,
  migrations: readonly Migration[],
  readOnlyWhy: CwmError | null,
  wanted: string | null,
): Promise<PreparedStore> {
  const layout = new Layout(root);
  const knownVersion = latestFormat(migrations);
  const restored = await restoreFirst(
    makeStoreDisk(files, clock, layout, knownVersion),
    wanted,
    readOnlyWhy,
    knownVersion,
  );
  const format = await readStoreFormat(files, layout, knownVersion);
  if (format.kind === 'newer') {
    return readOnly(files, clock, layout, format.version, laterVersion(format.version));
  }
  if (readOnlyWhy) {
    // A store that must first be created, migrated or repaired cannot be read without writing.
    if (format.kind !== 'known' || format.version !== knownVersion || format.record.migrating) throw readOnlyWhy;
    return readOnly(files, clock, layout, format.version, readOnlyWhy);
  }
  const parts = makeStoreDisk(files, clock, layout, knownVersion);
  for (const directory of layout.directories) {
    if (!(await hasDirectory(files, directory))) await files.makeDirectory(directory);
  }
  await files.syncDirectory(layout.root);
  const version = format.kind === 'none' ? knownVersion : format.version;
  const record = format.kind === 'known' ? format.record : { createdAt: clock.now().toISOString() };
  if (format.kind === 'lost' && format.isDamaged) {
    await parts.quarantine.setAside(layout.storeRecord, 'It is damaged.');
  }
  if (format.kind !== 'known') await parts.writes.replaceFile(layout.storeRecord, encodeStoreRecord(record, version));
  const migrated = await migrateStore(parts, migrations, version, record);
  return { parts, formatVersion: knownVersion, restored, migrated, readOnlyWhy: null };
}

async function restoreFirst(
  parts: StoreDisk,
  wanted: string | null,
  readOnlyWhy: CwmError | null,
  knownVersion: number,
): Promise<RestoredBackup | null> {
  if (!readOnlyWhy) return restoreBackup(parts, wanted, knownVersion);
  if (wanted !== null || (await parts.files.stat(parts.layout.restoring)) !== null) throw readOnlyWhy;
  return null;
}

const readOnly = (files: Files, clock: Clock, layout: Layout, formatVersion: number, why: CwmError): PreparedStore => ({
  parts: makeStoreDisk(files, clock, layout, null),
  formatVersion,
  restored: null,
  migrated: [],
  readOnlyWhy: why,
});

const laterVersion = (formatVersion: number): CwmError =>
  new CwmError(
    'UnsupportedSchema',
    `A later version of Context Window Manager wrote this store (format ${formatVersion}): it is open for reading only.`,
  );
