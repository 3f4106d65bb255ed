import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  ftruncate,
  mkdirSync,
  openSync,
  rmSync,
  statfsSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

/** A state on its way between the block files and llama.cpp. */
export interface StateFileAt {
  /** Whether it is in memory. llama.cpp then writes the very file that {@link open} opens, from its beginning to its end. */
  readonly isInMemory: boolean;
  /** As llama.cpp's process opens it. */
  readonly path: string;
  /** Opens it in this process; closed by {@link PassingState.release}. */
  open(): number;
}

/** Number of the first memory file in llama.cpp's process. */
const firstPassedFile = 4;

const memoryFolder = '/dev/shm';
/** `TMPFS_MAGIC` of Linux. */
const tmpfs = 0x0102_1994;
/** `__O_TMPFILE | O_DIRECTORY` of Linux: a file without a name, which is gone with the last process that has it open. */
const withoutName = 0o20_000_000 | constants.O_DIRECTORY;
/**
 * Bytes of a file in memory that stay for the next state, a little more than a part of a state takes: new pages take several times as long as
 * those that are used again.
 */
export const keptStateBytes = 17 << 20;
/** Memory that must be left for everything else. */
const spareBytes = 256 << 20;

/**
 * A state that passes between block files and llama.cpp, which takes nothing but files. On Linux it is a file in memory that
 * has no name, so that `kill -9` leaves nothing behind; its memory, but for {@link keptStateBytes}, is freed after each use. Elsewhere, and where memory is short,
 * it is a file in the run folder, deleted after each use.
 */
export class PassingState {
  /** The file that llama.cpp's process gets; null where there are no memory files. */
  readonly memoryFile: number | null;
  readonly #diskPath: string;
  readonly #memoryPath: string;
  #opened: number | null = null;
  #isOnDisk = false;
  /** What the memory file takes already. */
  #keptBytes = 0;
  #freeing: Promise<void> = Promise.resolve();

  /** @param place number among the memory files of llama.cpp's process, from 0. */
  constructor(runFolder: string, memoryFile: number | null = null, place = 0) {
    this.#diskPath = join(runFolder, place === 0 ? 'sequence.state' : `sequence-${place}.state`);
    this.#memoryPath = `/proc/self/fd/${firstPassedFile + place}`;
    this.memoryFile = memoryFile;
  }

  /**
   * Waits until the room of the previous state is free. In memory when there is room for this size. The file may have bytes of the previous
   * state: the caller gives it its length.
   */
  async place(sizeBytes: number): Promise<StateFileAt> {
    await this.#freeing;
    const isInMemory =
      this.memoryFile !== null && (sizeBytes <= this.#keptBytes || hasRoomInMemory(this.memoryFile, sizeBytes));
    return isInMemory ? this.#inMemory(this.memoryFile) : this.onDisk();
  }

  onDisk(): StateFileAt {
    // llama.cpp makes no folders.
    mkdirSync(dirname(this.#diskPath), { recursive: true, mode: 0o700 });
    this.#isOnDisk = true;
    const open = (): number => (this.#opened ??= openSync(this.#diskPath, constants.O_RDWR | constants.O_CREAT, 0o600));
    return { isInMemory: false, path: this.#diskPath, open };
  }

  /** Frees what it takes. Nobody has to wait: the next state does, and to free half a gigabyte takes as long as to read a tenth of it. */
  async release(): Promise<void> {
    if (this.#opened !== null) closeSync(this.#opened);
    this.#opened = null;
    if (this.#isOnDisk) rmSync(this.#diskPath, { force: true });
    this.#isOnDisk = false;
    const file = this.memoryFile;
    if (file !== null) this.#freeing = this.#freeing.catch(() => undefined).then(() => this.#free(file));
    await this.#freeing;
  }

  async #free(file: number): Promise<void> {
    if (fstatSync(file).size > keptStateBytes) await promisify(ftruncate)(file, keptStateBytes);
    this.#keptBytes = fstatSync(file).blocks * 512;
  }

  #inMemory(file: number): StateFileAt {
    return { isInMemory: true, path: this.#memoryPath, open: () => file };
  }
}

/** A file in memory without a name; null on systems that have none. It is closed with the process. */
export function openMemoryFile(): number | null {
  try {
    if (process.platform !== 'linux' || !existsSync('/proc/self/fd') || statfsSync(memoryFolder).type !== tmpfs)
      return null;
    return openSync(memoryFolder, constants.O_RDWR | withoutName, 0o600);
  } catch {
    return null;
  }
}

/** No where the system does not tell. */
function hasRoomInMemory(file: number, sizeBytes: number): boolean {
  try {
    const { bavail, bsize } = statfsSync(`/proc/self/fd/${file}`);
    return sizeBytes + spareBytes / 16 < bavail * bsize && sizeBytes + spareBytes < process.availableMemory();
  } catch {
    return false;
  }
}
