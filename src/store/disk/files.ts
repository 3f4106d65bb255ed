import { constants, lstatSync, realpathSync, type BigIntStats } from 'node:fs';
import * as fs from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { isRefusal } from './refusal.ts';

export interface FileStat {
  readonly kind: 'file' | 'directory' | 'link' | 'other';
  readonly sizeBytes: number;
  /** Changes with every change of the file, also when the clock stands still between two: inode, size, mtime and ctime in ns. */
  readonly fingerprint: string;
  /**
   * False while a change that follows at once could leave the fingerprint as it is: times of files move in steps of some
   * milliseconds, and inodes are used again. Git calls such an entry racily clean.
   */
  readonly isSettled: boolean;
}

/** The entries of a directory, with the facts that sizes are measured by. */
export interface DirectoryEntry {
  readonly name: string;
  readonly kind: FileStat['kind'];
  readonly sizeBytes: number;
  readonly modifiedMs: number;
  readonly inode: string;
  /** Number of names that the file has; its bytes take space only once. */
  readonly names: number;
}

/**
 * Every file operation of the store, so that a test can make any of them fail, tear or be the last one before a power cut.
 * Paths are absolute. Errors are Node's own, with `code` (ENOENT, ENOSPC …). No operation follows a link in a path's last part.
 */
export interface Files {
  /** Names in the directory, in no order. */
  list(directory: string): Promise<string[]>;
  /** The same with facts about each; an entry that is deleted during the call is left out. */
  entries(directory: string): Promise<DirectoryEntry[]>;
  /** Bytes that this user may still write to the file system of an existing path; null where the system does not tell. */
  freeBytes(path: string): Promise<number | null>;
  /** Files (inodes) that the file system can still take; null where it has no fixed number of them, or the system does not tell. */
  freeFiles(path: string): Promise<number | null>;
  /** Null when there is nothing; a link is not followed. */
  stat(path: string): Promise<FileStat | null>;
  /** The path without links in any part. */
  realPath(path: string): Promise<string>;
  read(path: string): Promise<Uint8Array>;
  /** Writes a new file, mode 0600, and waits until its bytes (not its name) are on the disk. EEXIST when it is there. A failure may leave a part of it. */
  create(path: string, bytes: Uint8Array): Promise<void>;
  /** Adds to the end, mode 0600, and waits until the bytes are on the disk. A failure may leave a part of them. */
  append(path: string, bytes: Uint8Array): Promise<void>;
  /** Cuts the file and waits until that is on the disk. */
  truncate(path: string, sizeBytes: number): Promise<void>;
  /** Atomic; replaces a file, refuses (ENOTEMPTY, EEXIST, EPERM) a directory with something in it. */
  rename(from: string, to: string): Promise<void>;
  /** A second name for a file. EEXIST when the name is taken. */
  link(from: string, to: string): Promise<void>;
  remove(path: string): Promise<void>;
  /** Nothing happens when it is not there. */
  removeTree(path: string): Promise<void>;
  /** Mode 0700, parents too; one that exists gets the mode. */
  makeDirectory(path: string): Promise<void>;
  /** Waits until the names in it are on the disk. Nothing happens where the system has no such call (Windows). */
  syncDirectory(path: string): Promise<void>;
}

const privateFile = 0o600;
const privateDirectory = 0o700;
// Windows has no such flag, and no links that an ordinary user could create.
const noFollow = constants.O_NOFOLLOW ?? 0;

/** Longer than the steps of any file system's clock but FAT's. */
const settlingMs = 100n;

/** Number of files to stat before other work gets its turn: about two milliseconds. */
const entriesAtOnce = 512;

/** {@link Files} on the machine's own file system. */
export const diskFiles: Files = {
  list: (directory) => fs.readdir(directory),

  async entries(directory) {
    const names = await fs.readdir(directory);
    const entries: DirectoryEntry[] = [];
    for (const [at, name] of names.entries()) {
      if (at % entriesAtOnce === entriesAtOnce - 1) await nextTurn();
      // A promise costs many times more than such a call, and there may be a hundred thousand files.
      const stat = lstatSync(join(directory, name), { bigint: true, throwIfNoEntry: false });
      if (!stat) continue;
      entries.push({
        name,
        kind: kindOf(stat),
        sizeBytes: Number(stat.size),
        modifiedMs: Number(stat.mtimeMs),
        inode: String(stat.ino),
        names: Number(stat.nlink),
      });
    }
    return entries;
  },

  async freeBytes(path) {
    try {
      const { bavail, bsize } = await fs.statfs(path, { bigint: true });
      return Number(bavail * bsize);
    } catch (error) {
      if (isRefusal(error)) return null;
      throw error;
    }
  },

  async freeFiles(path) {
    try {
      const { files, ffree } = await fs.statfs(path);
      return files === 0 ? null : ffree;
    } catch (error) {
      if (isRefusal(error)) return null;
      throw error;
    }
  },

  async stat(path) {
    try {
      const stat = await fs.lstat(path, { bigint: true });
      const changedMs = stat.mtimeMs > stat.ctimeMs ? stat.mtimeMs : stat.ctimeMs;
      return {
        kind: kindOf(stat),
        sizeBytes: Number(stat.size),
        fingerprint: `${stat.ino}.${stat.size}.${stat.mtimeNs}.${stat.ctimeNs}`,
        isSettled: BigInt(Date.now()) - changedMs > settlingMs,
      };
    } catch (error) {
      if (hasCode(error, 'ENOENT', 'ENOTDIR')) return null;
      throw error;
    }
  },

  // Some drives have no answer for the system's call (RAM disks, long paths under Wine): Node's own follows the links one by one.
  realPath: (path) => fs.realpath(path).catch(() => realpathSync(path)),

  async read(path) {
    // A named pipe would be waited for.
    const handle = await fs.open(path, constants.O_RDONLY | noFollow | (constants.O_NONBLOCK ?? 0));
    try {
      const { size } = await handle.stat();
      if (size > mostReadBytes) throw Object.assign(new Error(`${path} has ${size} bytes.`), { code: tooLarge });
      return await readWhole(handle, size);
    } finally {
      await handle.close();
    }
  },

  create: (path, bytes) =>
    writeAndSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | noFollow, bytes),

  append: (path, bytes) =>
    writeAndSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND | noFollow, bytes),

  async truncate(path, sizeBytes) {
    const handle = await fs.open(path, constants.O_WRONLY | noFollow);
    try {
      await handle.truncate(sizeBytes);
      await handle.sync();
    } finally {
      await handle.close();
    }
  },

  rename: (from, to) => fs.rename(from, to),
  link: (from, to) => fs.link(from, to),
  remove: (path) => fs.unlink(path),
  removeTree: (path) => fs.rm(path, { recursive: true, force: true }),

  async makeDirectory(path) {
    const made = await fs.mkdir(path, { recursive: true, mode: privateDirectory });
    if (made === undefined) await closeToOthers(path);
  },

  async syncDirectory(path) {
    if (process.platform === 'win32') return;
    try {
      const handle = await fs.open(path, constants.O_RDONLY);
      await handle.sync().finally(() => handle.close());
    } catch (error) {
      // Some file systems have no fsync for directories, and some directories may be passed through but not opened.
      if (!isRefusal(error)) throw error;
    }
  },
};

/** `FileHandle.readFile` would ask for the size again: on some systems each such call costs as much as the reading. */
async function readWhole(handle: fs.FileHandle, sizeBytes: number): Promise<Uint8Array> {
  const bytes = Buffer.allocUnsafeSlow(sizeBytes);
  let at = 0;
  while (at < sizeBytes) {
    const { bytesRead } = await handle.read(bytes, at, sizeBytes - at, at);
    if (bytesRead === 0) break;
    at += bytesRead;
  }
  return bytes.subarray(0, at);
}

/** Some file systems have no modes (CIFS, exFAT). There, the mount options decide which users have access. */
async function closeToOthers(directory: string): Promise<void> {
  try {
    await fs.chmod(directory, privateDirectory);
  } catch (error) {
    const isOwn = (await fs.lstat(directory)).uid === process.getuid?.();
    if (!isOwn || !isRefusal(error)) throw error;
  }
}

const kindOf = (stat: BigIntStats): FileStat['kind'] =>
  stat.isFile() ? 'file' : stat.isDirectory() ? 'directory' : stat.isSymbolicLink() ? 'link' : 'other';

async function writeAndSync(path: string, flags: number, bytes: Uint8Array): Promise<void> {
  const handle = await fs.open(path, flags, privateFile);
  try {
    // FileHandle.writeFile continues after a short write, which is the first sign of a disk that fills up.
    await handle.writeFile(bytes);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Whether it is a system error with one of these codes. */
/** No file that is read as a whole is nearly as large, and a text of twice that size fits into no string. */
const mostReadBytes = 256 * 1024 * 1024;

/** Node's own code for files over 2 GiB. */
export const tooLarge = 'ERR_FS_FILE_TOO_LARGE';

export function hasCode(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && codes.includes(error.code);
}
