import { closeSync, ftruncateSync, mkdirSync, openSync, readSync, unlinkSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomId } from '../../base/hash.ts';

/** Bytes of one process, which end with it. Every function waits for the disk, and throws what the system says. */
export interface ScratchFile {
  /** Fewer than `length` bytes only where the file ends. */
  read(at: number, length: number): Buffer;
  write(bytes: Uint8Array, at: number): void;
  empty(): void;
  close(): void;
}

/**
 * A file without a name, from the first write on: the system takes it back when the process ends, however it ends. Where neither the directory nor
 * the system's own one for such files can be written, the bytes are in memory.
 */
export function scratchFile(directory: string): ScratchFile {
  let opened: ScratchFile | null = null;
  let isClosed = false;
  return {
    read: (at, length) => opened?.read(at, length) ?? Buffer.alloc(0),
    write(bytes, at) {
      // The system gives the number of a closed file to another one.
      if (isClosed) throw new Error('The file is closed.');
      opened ??= firstOf([directory, tmpdir()]);
      opened.write(bytes, at);
    },
    empty: () => opened?.empty(),
    close() {
      opened?.close();
      [opened, isClosed] = [null, true];
    },
  };
}

function firstOf(directories: readonly string[]): ScratchFile {
  for (const directory of directories) {
    try {
      mkdirSync(directory, { recursive: true, mode: 0o700 });
      return nameless(join(directory, `scratch-${randomId()}`));
    } catch {
      // The next one may be writable.
    }
  }
  return scratchInMemory();
}

function nameless(path: string): ScratchFile {
  const file = openSync(path, 'wx+', 0o600);
  // Where an open file keeps its name, its end takes it.
  const isNameless = removed(path);
  return {
    read(at, length) {
      const bytes = Buffer.allocUnsafe(length);
      let read = 0;
      while (read < length) {
        const more = readSync(file, bytes, read, length - read, at + read);
        if (more === 0) break;
        read += more;
      }
      return bytes.subarray(0, read);
    },
    write(bytes, at) {
      for (let written = 0; written < bytes.length;)
        written += writeSync(file, bytes, written, bytes.length - written, at + written);
    },
    empty: () => ftruncateSync(file),
    close() {
      closeSync(file);
      if (!isNameless) removed(path);
    },
  };
}

function removed(path: string): boolean {
  try {
    unlinkSync(path);
    return true;
  } catch {
    return false;
  }
}

export function scratchInMemory(): ScratchFile {
  let all = Buffer.alloc(0);
  return {
    read: (at, length) => Buffer.from(all.subarray(at, at + length)),
    write(bytes, at) {
      if (at + bytes.length > all.length) {
        const larger = Buffer.alloc(Math.max(2 * all.length, at + bytes.length));
        all.copy(larger);
        all = larger;
      }
      all.set(bytes, at);
    },
    empty: () => void (all = Buffer.alloc(0)),
    close: () => undefined,
  };
}
