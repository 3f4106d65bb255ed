import { basename, join } from 'node:path';
import { stampOf } from '../disk/quarantine.ts';
import type { Layout } from '../disk/layout.ts';
import type { StoreDisk } from '../disk/storeDisk.ts';

/**
 * Copies all records to `backups/format-<from>-<stamp>/`: all of them or nothing appears. Files that are never changed in place
 * get a second name instead of a copy, so that it takes little space.
 *
 * @returns where it is, relative to the storage directory.
 */
export async function backUp(parts: StoreDisk, from: number): Promise<string> {
  const { files, layout, writes, clock } = parts;
  if ((await files.stat(layout.backups)) === null) {
    await files.makeDirectory(layout.backups);
    await files.syncDirectory(layout.root);
  }
  const wanted = join(layout.backups, `format-${from}-${stampOf(clock.now())}`);
  let target = wanted;
  for (let copy = 2; (await files.stat(target)) !== null; copy++) target = `${wanted}.${copy}`;
  await writes.addDirectory(target, (directory) => copyRecords(parts, layout, directory));
  return `backups/${basename(target)}`;
}

/** What a backup has. */
export const backedUp = (layout: Layout): readonly string[] => {
  const { contexts, windows, lineages, projects, prompts, intents, trash, selection, userMemories, storeRecord } =
    layout;
  return [contexts, windows, lineages, projects, prompts, intents, trash, selection, userMemories, storeRecord];
};

/** Copies all records of a store, or of a backup, into a directory that is there. */
export async function copyRecords(parts: StoreDisk, from: Layout, directory: string): Promise<void> {
  for (const path of backedUp(from)) await copy(parts, path, join(directory, basename(path)));
}

/** A link is not followed, because this program writes none. */
async function copy(parts: StoreDisk, from: string, to: string): Promise<void> {
  const { files, writes } = parts;
  const stat = await files.stat(from);
  if (stat?.kind === 'directory') {
    await files.makeDirectory(to);
    for (const name of await files.list(from)) await copy(parts, join(from, name), join(to, name));
    await files.syncDirectory(to);
  } else if (stat?.kind === 'file') {
    if (from.endsWith('.jsonl')) await files.create(to, await files.read(from));
    else await writes.share(from, to);
  }
}
