import { join } from 'node:path';
import type { StorageSizes } from '../../core/ports/space.ts';
import { parseSessionId, parseWindowName } from '../../protocol/ids.ts';
import type { Files } from '../disk/files.ts';
import { idOfFileName } from '../disk/layout.ts';
import type { StoreDisk } from '../disk/storeDisk.ts';
import { entriesIfThere } from './entriesIfThere.ts';

/**
 * Adds up the sizes of all files below the storage directory but those of the KV cache. A message that several sessions share is one
 * file with several names, and counts once. It counts with the records, so that the size of the trash is what emptying it would free.
 */
export async function measureStorage({ files, layout }: StoreDisk, signal: AbortSignal): Promise<StorageSizes> {
  const counted = new Set<string>();
  const below = (directory: string): Promise<number> => bytesBelow(files, directory, counted, signal);
  const windowBytes = new Map<string, number>();
  for (const { name } of await entriesIfThere(files, layout.windows)) {
    const window = idOfFileName(name, parseWindowName);
    if (window !== null) windowBytes.set(window, await below(join(layout.windows, name)));
  }
  let recordBytes = [...windowBytes.values()].reduce((sum, bytes) => sum + bytes, 0);
  const sessionBytes = new Map<string, number>();
  for (const { name } of await entriesIfThere(files, layout.contexts)) {
    const bytes = await below(join(layout.contexts, name));
    const session = idOfFileName(name, parseSessionId);
    if (session !== null) sessionBytes.set(session, bytes);
    recordBytes += bytes;
  }
  for (const directory of [layout.lineages, layout.projects, layout.intents]) {
    recordBytes += await below(directory);
  }
  const trashBytes = await below(layout.trash);
  const quarantineBytes = await below(layout.quarantine);
  const measured = new Set([
    layout.windows,
    layout.contexts,
    layout.lineages,
    layout.projects,
    layout.intents,
    layout.trash,
    layout.quarantine,
    layout.kv,
  ]);
  let otherBytes = 0;
  for (const { name, kind, sizeBytes } of await files.entries(layout.root)) {
    const path = join(layout.root, name);
    if (measured.has(path)) continue;
    if (kind === 'directory') otherBytes += await below(path);
    else if (kind === 'file') otherBytes += sizeBytes;
  }
  return { recordBytes, trashBytes, quarantineBytes, otherBytes, windowBytes, sessionBytes };
}

/** @param counted inodes of files with several names that were counted already. */
export async function bytesBelow(
  files: Files,
  directory: string,
  counted: Set<string>,
  signal: AbortSignal,
): Promise<number> {
  signal.throwIfAborted();
  let bytes = 0;
  for (const entry of await entriesIfThere(files, directory)) {
    if (entry.kind === 'directory') bytes += await bytesBelow(files, join(directory, entry.name), counted, signal);
    if (entry.kind !== 'file') continue;
    if (entry.names > 1) {
      if (counted.has(entry.inode)) continue;
      counted.add(entry.inode);
    }
    bytes += entry.sizeBytes;
  }
  return bytes;
}
