import { randomUUID } from 'node:crypto';
import { dirname, join } from 'node:path';
import { hasCode, tooLarge, type Files } from './files.ts';

/**
 * The few ways in which the store changes the disk. Each returns when the change would survive a power cut. A call that fails undoes
 * its changes, so that it can be repeated.
 *
 * Why not write-file-atomic: it takes a short write (a disk that fills up) for a whole one, does not sync the directory, and follows a
 * link at the target.
 */
export class DurableWrites {
  readonly #files: Files;
  readonly #temporary: string;

  constructor(files: Files, temporaryDirectory: string) {
    this.#files = files;
    this.#temporary = temporaryDirectory;
  }

  /** Writes a whole file, and replaces the one that is there. @param known what that has. Default: it is read. */
  async replaceFile(path: string, bytes: Uint8Array, known?: Uint8Array): Promise<void> {
    let previous: Uint8Array | null;
    try {
      previous = known ?? (await this.readIfThere(path));
    } catch (error) {
      if (hasCode(error, tooLarge)) return this.#replaceHeld(path, bytes);
      throw error;
    }
    await this.#place(path, bytes);
    await this.#settle([dirname(path)], async () => {
      if (previous === null) await this.#files.remove(path);
      else await this.#place(path, previous);
    });
  }

  /** The same for a file that is too large to be read. */
  async #replaceHeld(path: string, bytes: Uint8Array): Promise<void> {
    const { putBack, drop } = await this.hold(path);
    try {
      await this.#place(path, bytes);
      await this.#settle([dirname(path)], putBack);
    } finally {
      await drop();
    }
  }

  /** Nothing happens when it is not there. */
  async removeFile(path: string): Promise<void> {
    const previous = await this.readIfThere(path);
    if (previous === null) return;
    await this.#files.remove(path);
    await this.#settle([dirname(path)], () => this.#place(path, previous));
  }

  /**
   * Holds what is at the path without copying it, so that it can be put back when there is no room to write. The caller must call
   * `putBack` or `drop`.
   */
  async hold(path: string): Promise<{ readonly putBack: () => Promise<void>; readonly drop: () => Promise<void> }> {
    const held = join(this.#temporary, randomUUID());
    const isThere = (await this.#files.stat(path)) !== null;
    if (isThere) await this.share(path, held);
    return {
      putBack: async () => {
        if (isThere) await this.#files.rename(held, path);
        else await this.#files.removeTree(path);
        await this.#files.syncDirectory(dirname(path));
      },
      drop: async () => {
        // A file that stays behind is in a directory that the next start empties.
        if (isThere) await quietly(() => this.#files.remove(held));
      },
    };
  }

  /** Several new files of one directory: all of them or none. */
  async addFiles(directory: string, contents: ReadonlyMap<string, Uint8Array>): Promise<void> {
    const placed: string[] = [];
    const undo = async (): Promise<void> => {
      for (const path of placed) await this.#files.remove(path);
    };
    try {
      for (const [path, bytes] of contents) {
        await this.#place(path, bytes);
        placed.push(path);
      }
    } catch (error) {
      await quietly(undo);
      throw error;
    }
    await this.#settle([directory], undo);
  }

  /**
   * A new directory with everything in it, or nothing.
   * @param fill makes its content below the path it is given; what it makes in directories there, it syncs itself.
   * @throws EEXIST, ENOTEMPTY or (Windows) EPERM when `target` is taken.
   */
  async addDirectory(target: string, fill: (directory: string) => Promise<void>): Promise<void> {
    const building = join(this.#temporary, randomUUID());
    try {
      await this.#files.makeDirectory(building);
      await fill(building);
      await this.#files.syncDirectory(building);
      await this.#files.rename(building, target);
    } catch (error) {
      await quietly(() => this.#files.removeTree(building));
      throw error;
    }
    await this.#settle([dirname(target)], async () => {
      await this.#files.rename(target, building);
      await this.#files.removeTree(building);
    });
  }

  /** Moves a file or directory to where nothing is. */
  async move(from: string, to: string): Promise<void> {
    await this.#files.rename(from, to);
    // The target first: a power cut between the two leaves it twice rather than nowhere.
    await this.#settle([dirname(to), dirname(from)], () => this.#files.rename(to, from));
  }

  /** Moves to `wanted`, or to that name with a number when it is taken. @returns where it is now. */
  async moveAside(from: string, wanted: string): Promise<string> {
    let target = wanted;
    for (let copy = 2; (await this.#files.stat(target)) !== null; copy++) target = `${wanted}.${copy}`;
    await this.move(from, target);
    return target;
  }

  /** Gives a file a second name in another directory, or a copy where links do not work. Nothing happens when the name is taken. */
  async share(from: string, to: string): Promise<void> {
    try {
      await this.#files.link(from, to);
    } catch (error) {
      if (hasCode(error, 'EEXIST')) return;
      if (hasCode(error, 'ENOENT', 'ENOSPC', 'EDQUOT')) throw error;
      await this.#place(to, await this.#files.read(from));
    }
  }

  /** Adds to the end of a file that is `sizeBytes` long; of 0, it may be missing. */
  async append(path: string, bytes: Uint8Array, sizeBytes: number): Promise<void> {
    const isNew = sizeBytes === 0 && (await this.#files.stat(path)) === null;
    try {
      await this.#files.append(path, bytes);
      if (isNew) await this.#files.syncDirectory(dirname(path));
    } catch (error) {
      await quietly(() => (isNew ? this.#files.remove(path) : this.#files.truncate(path, sizeBytes)));
      throw error;
    }
  }

  async readIfThere(path: string): Promise<Uint8Array | null> {
    try {
      return await this.#files.read(path);
    } catch (error) {
      if (hasCode(error, 'ENOENT', 'ENOTDIR')) return null;
      throw error;
    }
  }

  async #place(path: string, bytes: Uint8Array): Promise<void> {
    const temporary = join(this.#temporary, randomUUID());
    try {
      await this.#files.create(temporary, bytes);
      await this.#files.rename(temporary, path);
    } catch (error) {
      await quietly(() => this.#files.remove(temporary));
      throw error;
    }
  }

  async #settle(directories: readonly string[], undo: () => Promise<void>): Promise<void> {
    try {
      for (const directory of directories) await this.#files.syncDirectory(directory);
    } catch (error) {
      await quietly(undo);
      throw error;
    }
  }
}

/** Cleans up after a failure, which is the one to report. The next start finds what stays behind. */
async function quietly(cleanUp: () => Promise<void>): Promise<void> {
  await cleanUp().catch(() => undefined);
}
