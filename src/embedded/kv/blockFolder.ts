import { closeSync, mkdirSync, openSync, readSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { blockFileBytes, decodeBlock, encodeBlock } from './blockFile.ts';

/** What was done with block files since the process started. */
export interface BlockCounters {
  read: number;
  written: number;
  /** Files that were not the block they should be; each was deleted. */
  damaged: number;
  /** Blocks that could not be written, as on a full disk. They are recomputed when they are needed again. */
  writeFailures: number;
}

/**
 * One file for each KV block, `<folder>/<first two hex>/<hash>.kv`. The files are a cache: written atomically but not
 * fsynced, believed only when the checksum over name and bytes holds, deleted when it does not. Several processes may use
 * one folder. Synchronous, because a thousand small files are read several times faster that way and nothing else runs here.
 */
export class BlockFolder {
  readonly path: string;
  readonly counters: BlockCounters = { read: 0, written: 0, damaged: 0, writeFailures: 0 };
  readonly #fileBytes: number;
  readonly #scratch: Buffer;
  readonly #temporary: string;
  readonly #log: (message: string) => void;

  /** @param runFolder where a file is written before it gets its name; on the same file system as `path`. */
  constructor(path: string, payloadBytes: number, runFolder: string, log: (message: string) => void) {
    this.path = path;
    this.#temporary = join(runFolder, 'block.tmp');
    this.#fileBytes = blockFileBytes(payloadBytes);
    // One byte more, so that a file that grew is noticed.
    this.#scratch = Buffer.alloc(this.#fileBytes + 1);
    this.#log = log;
  }

  /** Whether a file of the right size is there; its content is checked when it is read. */
  has(hash: string): boolean {
    try {
      return statSync(this.#fileOf(hash), { throwIfNoEntry: false })?.size === this.#fileBytes;
    } catch (error) {
      this.#log(`Block ${hash} can't be looked up: ${messageOf(error)}`);
      return false;
    }
  }

  /** The block's payload, valid until the next read; null when it is missing or was damaged, and then deleted. */
  read(hash: string): Buffer | null {
    const length = this.#readFile(hash);
    if (length === null) return null;
    const payload = length === this.#fileBytes ? decodeBlock(hash, this.#scratch.subarray(0, length)) : null;
    if (payload) this.counters.read++;
    else {
      this.counters.damaged++;
      this.#log(`Block ${hash} is damaged; it is deleted and will be recomputed.`);
      this.remove(hash);
    }
    return payload;
  }

  /** False when it could not be written: the caller goes on without. */
  write(hash: string, payload: Uint8Array): boolean {
    const file = this.#fileOf(hash);
    try {
      writeFileSync(this.#temporary, encodeBlock(hash, payload), { mode: 0o600 });
      try {
        renameSync(this.#temporary, file);
      } catch (error) {
        if (!isMissing(error)) throw error;
        mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
        renameSync(this.#temporary, file);
      }
    } catch (error) {
      this.counters.writeFailures++;
      if (this.counters.writeFailures === 1) {
        this.#log(`Blocks can't be written, so they won't be reused: ${messageOf(error)}`);
      }
      return false;
    }
    this.counters.written++;
    return true;
  }

  remove(hash: string): void {
    try {
      rmSync(this.#fileOf(hash), { force: true, recursive: true });
    } catch (error) {
      this.#log(`Block ${hash} can't be deleted: ${messageOf(error)}`);
    }
  }

  #readFile(hash: string): number | null {
    try {
      const file = openSync(this.#fileOf(hash), 'r');
      try {
        return readSync(file, this.#scratch, 0, this.#scratch.length, 0);
      } finally {
        closeSync(file);
      }
    } catch (error) {
      if (isMissing(error)) return null;
      this.#log(`Block ${hash} can't be read: ${messageOf(error)}`);
      return 0;
    }
  }

  #fileOf(hash: string): string {
    return join(this.path, hash.slice(0, 2), `${hash}.kv`);
  }
}

const isMissing = (error: unknown): boolean => error instanceof Error && 'code' in error && error.code === 'ENOENT';

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
