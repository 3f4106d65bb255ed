import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import type { TrashItem } from '../../protocol/schemas/space.ts';
import { SerialQueue } from '../../base/serialQueue.ts';
import { CwmError } from '../../protocol/errors.ts';
import type { Files } from '../disk/files.ts';
import { stampOf } from '../disk/quarantine.ts';
import { entriesIfThere } from '../space/entriesIfThere.ts';
import type { StoreDisk } from '../disk/storeDisk.ts';

/** How long a deleted item can be restored. */
export const trashGraceMs = 7 * 24 * 60 * 60 * 1000;

/** `trash/<stamp>-<what>/`: deleting is one rename, and the disk space comes back a week later. */
export class Trash {
  readonly #parts: StoreDisk;
  /** Items are taken out one after another, so that two callers cannot take the same one. */
  readonly #takers = new SerialQueue();

  constructor(parts: StoreDisk) {
    this.#parts = parts;
  }

  /** @param what names it for a person who looks through the trash; legal in a file name. */
  async discard(path: string, what: string): Promise<void> {
    const { writes, layout, clock } = this.#parts;
    await writes.moveAside(path, join(layout.trash, `${stampOf(clock.now())}-${what}`));
  }

  /** The last deleted item comes first; names without a time are left out. */
  async items(): Promise<TrashItem[]> {
    const items: TrashItem[] = [];
    for (const named of await this.#named()) items.push({ ...named, sizeBytes: await this.#bytesOnlyIn(named.id) });
    return items;
  }

  /**
   * @param move moves the item at the path to its place.
   * @throws CwmError PathNotFound when there is no such item.
   */
  takeOut(id: string, move: (item: TrashItem, path: string) => Promise<void>): Promise<TrashItem> {
    return this.#takers.run(async () => {
      const { item, path } = await this.#find(id);
      await move(item, path);
      return item;
    });
  }

  /**
   * Removes items that are older than {@link trashGraceMs}, or everything; leaves names without a time alone. @returns the removed
   * items.
   */
  empty(which: 'expired' | 'all'): Promise<TrashItem[]> {
    return this.#takers.run(() => this.#empty(which));
  }

  async #empty(which: 'expired' | 'all'): Promise<TrashItem[]> {
    const now = this.#parts.clock.now().toISOString();
    const removed: TrashItem[] = [];
    // One after another: a file that two of them share is freed with the second.
    for (const { id, expiresAt } of await this.#named()) {
      if (which === 'expired' && expiresAt >= now) continue;
      removed.push(await this.#remove(id));
    }
    return removed;
  }

  /** @throws CwmError PathNotFound when there is no such item. */
  remove(id: string): Promise<TrashItem> {
    return this.#takers.run(() => this.#remove(id));
  }

  async #remove(id: string): Promise<TrashItem> {
    const { files, layout } = this.#parts;
    const { item, path } = await this.#find(id);
    // First out of the trash: an item that a crash leaves half removed must not be restored.
    const doomed = join(layout.temporary, randomUUID());
    await files.rename(path, doomed);
    await files.syncDirectory(layout.trash);
    await files.removeTree(doomed);
    return item;
  }

  async #find(id: string): Promise<{ readonly item: TrashItem; readonly path: string }> {
    const named = (await this.#named()).find((each) => each.id === id);
    if (named) {
      const item = { ...named, sizeBytes: await this.#bytesOnlyIn(id) };
      return { item, path: join(this.#parts.layout.trash, id) };
    }
    throw new CwmError('PathNotFound', `There is nothing called ${JSON.stringify(id.slice(0, 200))} in the trash.`, {
      hint: 'List the trash to see what is in it.',
    });
  }

  async #named(): Promise<Omit<TrashItem, 'sizeBytes'>[]> {
    const names = await this.#parts.files.list(this.#parts.layout.trash);
    return names
      .map(describeItem)
      .filter((item) => item !== null)
      .sort((a, b) => (a.id < b.id ? 1 : -1));
  }

  async #bytesOnlyIn(id: string): Promise<number> {
    const { files, layout } = this.#parts;
    const path = join(layout.trash, id);
    const stat = await files.stat(path);
    return stat?.kind === 'directory' ? bytesWithoutOtherName(files, path) : (stat?.sizeBytes ?? 0);
  }
}

/** The bytes that removing the directory frees. */
async function bytesWithoutOtherName(files: Files, directory: string): Promise<number> {
  let bytes = 0;
  for (const entry of await entriesIfThere(files, directory)) {
    if (entry.kind === 'directory') bytes += await bytesWithoutOtherName(files, join(directory, entry.name));
    else if (entry.kind === 'file' && entry.names === 1) bytes += entry.sizeBytes;
  }
  return bytes;
}

const itemPattern = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)(\d{3})Z-(.+)$/;
// Ids have no dots, so a number behind one is that of `moveAside`.
const recordPattern = /^(session|window)-([A-Za-z0-9_-]+)(?:\.\d+)?$/;

/** The item in the trash under this name; null when {@link Trash.discard} did not give the name. */
export function describeItem(id: string): Omit<TrashItem, 'sizeBytes'> | null {
  const parts = itemPattern.exec(id);
  if (!parts) return null;
  const [, year, month, day, hour, minute, second, ms, what = ''] = parts;
  const deletedMs = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}.${ms}Z`);
  if (Number.isNaN(deletedMs)) return null;
  const [, kind, name] = recordPattern.exec(what) ?? [];
  return {
    id,
    kind: kind === 'session' || kind === 'window' ? kind : 'other',
    name: name ?? what,
    deletedAt: new Date(deletedMs).toISOString(),
    expiresAt: new Date(deletedMs + trashGraceMs).toISOString(),
  };
}
