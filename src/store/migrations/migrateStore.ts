import { join } from 'node:path';
import { DamageError, encodeRecord, openRecord } from '../disk/record.ts';
import type { StoreDisk } from '../disk/storeDisk.ts';
import { describeItem } from '../records/trash.ts';
import { backUp } from './backup.ts';
import type { Migration, MigrationContext } from './migration.ts';
import { encodeStoreRecord, type StoreRecord } from './storeFormat.ts';

/** A step that was done. */
export interface MigrationDone {
  readonly from: number;
  readonly to: number;
  readonly what: string;
  /** The backup of the records before the step, relative to the storage directory. */
  readonly backup: string;
}

/**
 * Takes the store to the latest format, step by step. Each step makes a backup, then writes into `store.json` that it has begun, under
 * the new version, so that an older program refuses the store. An interrupted step begins again.
 *
 * @returns what was done; empty when there was nothing to do.
 */
export async function migrateStore(
  parts: StoreDisk,
  migrations: readonly Migration[],
  version: number,
  record: StoreRecord,
): Promise<MigrationDone[]> {
  const { migrating, ...settled } = record;
  const begun = migrating ?? null;
  const done: MigrationDone[] = [];
  let from = begun?.from ?? version;
  for (const step of migrations) {
    if (step.from !== from) continue;
    const backup = begun?.from === from ? begun.backup : await backUp(parts, from);
    const write = (value: StoreRecord): Promise<void> =>
      parts.writes.replaceFile(parts.layout.storeRecord, encodeStoreRecord(value, step.to));
    await write({ ...settled, migrating: { from, backup } });
    await step.migrate(contextOf(parts, step.to));
    await write(settled);
    done.push({ from, to: step.to, what: step.what, backup });
    from = step.to;
  }
  return done;
}

function contextOf(parts: StoreDisk, to: number): MigrationContext {
  const { files, layout, writes, lines } = parts;
  const below = async (directory: string): Promise<string[]> =>
    (await files.list(directory)).map((name) => join(directory, name));
  const trashed = async (kind: 'session' | 'window'): Promise<string[]> =>
    (await files.list(layout.trash))
      .filter((name) => describeItem(name)?.kind === kind)
      .map((name) => join(layout.trash, name));
  return {
    files,
    layout,
    writes,
    lines,
    sessions: async () => [...(await below(layout.contexts)), ...(await trashed('session'))],
    windows: async () => [...(await below(layout.windows)), ...(await trashed('window'))],
    async rewrite(path, change) {
      const bytes = await writes.readIfThere(path);
      if (bytes === null) return;
      try {
        const { formatVersion, value } = openRecord(bytes);
        if (formatVersion < to) await writes.replaceFile(path, encodeRecord(change(value), to));
      } catch (error) {
        // The next reader sets it aside and reports it.
        if (!(error instanceof DamageError)) throw error;
      }
    },
  };
}
