import { randomUUID, type KeyObject } from 'node:crypto';
import { join } from 'node:path';
import type { DirectoryEntry, Files } from '../disk/files.ts';
import type { Layout } from '../disk/layout.ts';
import { isRefusal } from '../disk/refusal.ts';
import { isSealed, openFrames, sealFrame } from './frames.ts';

/**
 * Encrypts or decrypts every file of the store that is not yet in the wanted form. It replaces each file as a whole, so that an
 * interrupted conversion can start again from the beginning. A file with several names retains them.
 */
export async function convertStore(
  files: Files,
  layout: Layout,
  key: KeyObject,
  to: 'encrypted' | 'plain',
): Promise<void> {
  await files.makeDirectory(layout.temporary);
  const converter = new Converter(files, layout.temporary, key, to);
  // Unfinished files are of no use, and may be in either form.
  for (const name of await files.list(layout.temporary)) await files.removeTree(join(layout.temporary, name));
  for (const directory of [...layout.directories, layout.backups]) await converter.directory(directory);
  for (const path of layout.rootFiles) await converter.file(path, null);
  await files.syncDirectory(layout.root);
}

class Converter {
  readonly #files: Files;
  readonly #temporary: string;
  readonly #key: KeyObject;
  readonly #to: 'encrypted' | 'plain';
  /** By inode: where a file with several names lies converted. */
  readonly #shared = new Map<string, string>();

  constructor(files: Files, temporary: string, key: KeyObject, to: 'encrypted' | 'plain') {
    this.#files = files;
    this.#temporary = temporary;
    this.#key = key;
    this.#to = to;
  }

  async directory(path: string): Promise<void> {
    if ((await this.#files.stat(path))?.kind !== 'directory') return;
    for (const entry of await this.#files.entries(path)) {
      if (entry.kind === 'directory') await this.directory(join(path, entry.name));
      else if (entry.kind === 'file') await this.file(join(path, entry.name), entry);
    }
    await this.#files.syncDirectory(path);
  }

  async file(path: string, entry: DirectoryEntry | null): Promise<void> {
    if (entry === null && (await this.#files.stat(path)) === null) return;
    const temporary = join(this.#temporary, randomUUID());
    // The last of its names has none beside it any more: the others are those of the converted file by now.
    const twin = entry ? this.#shared.get(entry.inode) : undefined;
    if (twin === undefined || !(await this.#isLinked(twin, temporary))) {
      const converted = this.#converted(Buffer.from(await this.#files.read(path)));
      if (converted === null) return;
      await this.#files.create(temporary, converted);
    }
    await this.#files.rename(temporary, path);
    if (entry && entry.names > 1) this.#shared.set(entry.inode, path);
  }

  /** False where the file system takes no second name now: the file is then converted as one of its own. */
  async #isLinked(from: string, to: string): Promise<boolean> {
    try {
      await this.#files.link(from, to);
      return true;
    } catch (error) {
      if (!isRefusal(error)) throw error;
      return false;
    }
  }

  /** Null when it already has the wanted form. */
  #converted(raw: Buffer): Uint8Array | null {
    if (raw.length === 0) return null;
    if (this.#to === 'encrypted') return isSealed(raw) ? null : sealFrame(this.#key, raw);
    return isSealed(raw) ? openFrames(this.#key, raw).plain : null;
  }
}
