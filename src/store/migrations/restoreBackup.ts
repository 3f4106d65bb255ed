import { basename, join } from 'node:path';
import * as z from 'zod/mini';
import { CwmError } from '../../protocol/errors.ts';
import { Layout } from '../disk/layout.ts';
import { decodeRecord, encodeRecord } from '../disk/record.ts';
import { stampOf } from '../disk/quarantine.ts';
import type { StoreDisk } from '../disk/storeDisk.ts';
import { backedUp, copyRecords } from './backup.ts';
import { readStoreFormat } from './storeFormat.ts';

/** A restore whose copies are whole: from here on it only renames. */
const restoringSchema = z.object({
  backup: z.string(),
  /** Below `backups/`: where what was there before goes. */
  aside: z.string(),
  /** The records of the backup, by name. */
  names: z.array(z.string()),
});
type Restoring = z.infer<typeof restoringSchema>;

export interface RestoredBackup extends Restoring {
  /** True: an earlier start had begun it. */
  readonly wasInterrupted: boolean;
}

/**
 * Puts the records of a backup in place of the store's, which become a backup themselves. First everything is copied, and only then anything is
 * renamed; the next start finishes what a crash interrupted. Part of opening, before anything is read.
 *
 * @param wanted a backup's id; null: only finish.
 * @returns what was done; null when there was nothing to do.
 * @throws CwmError InvalidParameter where there is no such backup, UnsupportedSchema where a later version wrote it; nothing was changed then.
 */
export async function restoreBackup(
  parts: StoreDisk,
  wanted: string | null,
  knownVersion: number,
): Promise<RestoredBackup | null> {
  const interrupted = await readRestoring(parts);
  if (interrupted) await swap(parts, interrupted);
  if (wanted === null || wanted === interrupted?.backup) {
    return interrupted && { ...interrupted, wasInterrupted: true };
  }
  const restoring = await prepare(parts, wanted, knownVersion);
  await swap(parts, restoring);
  return { ...restoring, wasInterrupted: false };
}

async function readRestoring({ writes, layout }: StoreDisk): Promise<Restoring | null> {
  const bytes = await writes.readIfThere(layout.restoring);
  return bytes && decodeRecord(bytes, restoringSchema, Number.POSITIVE_INFINITY);
}

async function prepare(parts: StoreDisk, backup: string, knownVersion: number): Promise<Restoring> {
  const { files, layout, writes, clock } = parts;
  const from = await requireBackup(parts, backup, knownVersion);
  await files.makeDirectory(layout.temporary);
  // Left by a start that ended while it copied.
  await files.removeTree(copiesIn(layout));
  await writes.addDirectory(copiesIn(layout), (directory) => copyRecords(parts, from, directory));
  const wantedName = `before-restore-${stampOf(clock.now())}`;
  let aside = wantedName;
  for (let copy = 2; (await files.stat(join(layout.backups, aside))) !== null; copy++) aside = `${wantedName}.${copy}`;
  const restoring = { backup, aside, names: await files.list(copiesIn(layout)) };
  await writes.replaceFile(layout.restoring, encodeRecord(restoring));
  return restoring;
}

/** Every step may be repeated. */
async function swap({ files, layout, writes }: StoreDisk, { aside, names }: Restoring): Promise<void> {
  const directory = join(layout.backups, aside);
  const exists = async (path: string): Promise<boolean> => (await files.stat(path)) !== null;
  await files.makeDirectory(directory);
  await files.syncDirectory(layout.backups);
  for (const path of [...backedUp(layout), layout.answers]) {
    const name = basename(path);
    const copy = join(copiesIn(layout), name);
    // Once its copy has gone, the record that is in place is the restored one.
    const isRestored = names.includes(name) && !(await exists(copy));
    // After a power cut a directory may stand in both places: it is the same one, and the name with a number is spare.
    if (!isRestored && (await exists(path))) await writes.moveAside(path, join(directory, name));
    if (await exists(copy)) await writes.move(copy, path);
  }
  for (const image of [layout.indexImage, layout.searchImage]) await writes.removeFile(image);
  await writes.removeFile(layout.restoring);
  await files.removeTree(copiesIn(layout));
}

/** Whole copies of the backup's records, until each is in its place. */
const copiesIn = ({ temporary }: Layout): string => join(temporary, 'restored');

async function requireBackup({ files, layout }: StoreDisk, id: string, knownVersion: number): Promise<Layout> {
  const names = (await files.stat(layout.backups)) === null ? [] : await files.list(layout.backups);
  const within = new Layout(join(layout.backups, id));
  const format = names.includes(id) ? await readStoreFormat(files, within, knownVersion) : null;
  if (format?.kind === 'newer')
    throw new CwmError('UnsupportedSchema', `A later version of Context Window Manager wrote the backup "${id}".`);
  if (format?.kind === 'known') return within;
  throw new CwmError('InvalidParameter', `There is no whole backup "${id}".`, {
    hint: '"cwm backup list" shows those that there are.',
  });
}
