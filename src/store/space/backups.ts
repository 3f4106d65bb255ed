import { join } from 'node:path';
import type { Backup } from '../../protocol/schemas/space.ts';
import { Layout } from '../disk/layout.ts';
import { DamageError, openRecord } from '../disk/record.ts';
import type { StoreDisk } from '../disk/storeDisk.ts';
import { entriesIfThere } from './entriesIfThere.ts';
import { bytesBelow } from './storageSizes.ts';

/** As the migrations name them: why, when, and a number where the name was taken. */
const namePattern = /^(?:format-\d+|before-restore)-(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)(\d{3})Z(?:\.\d+)?$/;

/** The backups of a store, the latest first. A directory with another name is none. */
export async function listBackups(parts: StoreDisk, signal: AbortSignal): Promise<readonly Backup[]> {
  const { files, layout } = parts;
  const found: Backup[] = [];
  for (const { name, kind } of await entriesIfThere(files, layout.backups)) {
    const [, ...at] = namePattern.exec(name) ?? [];
    if (kind !== 'directory' || at.length === 0) continue;
    const within = new Layout(join(layout.backups, name));
    const count = async (directory: string): Promise<number> =>
      (await entriesIfThere(files, directory)).filter((entry) => entry.kind === 'directory').length;
    found.push({
      id: name,
      format: await formatOf(parts, within),
      createdAt: `${at.slice(0, 3).join('-')}T${at.slice(3, 6).join(':')}.${at[6]}Z`,
      sessions: await count(within.contexts),
      windows: await count(within.windows),
      sizeBytes: await bytesBelow(files, within.root, new Set(), signal),
    });
  }
  return found.sort((a, b) => (a.createdAt < b.createdAt ? 1 : -1));
}

async function formatOf({ writes }: StoreDisk, { storeRecord }: Layout): Promise<number | null> {
  const bytes = await writes.readIfThere(storeRecord);
  try {
    return bytes && openRecord(bytes).formatVersion;
  } catch (error) {
    if (error instanceof DamageError) return null;
    throw error;
  }
}
