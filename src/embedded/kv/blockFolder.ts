import {
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { blockFileBytes, decodeBlock, encodeBlock, pieceEndings, type PieceKind } from './blockFile.ts';

/** What was done with KV files since the process started. */
export interface BlockCounters {
  read: number;
  written: number;
  /** Files that were not the piece they should be; each was deleted. */
  damaged: number;
  /** Pieces that could not be written, as on a full disk. They are computed again when they are needed. */
  writeFailures: number;
}

export interface BlockFolderOptions {
  readonly path: string;
  readonly kind: PieceKind;
  /** Null when pieces differ in size. */
  readonly payloadBytes: number | null;
  /** Where a file is written before it gets its name; on the same file system as `path`. */
  readonly runFolder: string;
  readonly counters: BlockCounters;
  readonly log: (message: string) => void;
}

export const newBlockCounters = (): BlockCounters => ({ read: 0, written: 0, damaged: 0, writeFailures: 0 });

/**
 * One file for each piece of KV, `<folder>/<first two hex>/<hash>.kv` for rows, `.state` for position states. The files are
 * a cache: written atomically but not fsynced, believed only when the checksum over name and bytes holds, deleted when it
 * does not. Several processes may use one folder. Synchronous, because a thousand small files are read several times faster
 * that way and nothing else runs here.
 */
export class BlockFolder {
  readonly path: string;
  readonly counters: BlockCounters;
  readonly #kind: PieceKind;
  /** Null when pieces differ in size. */
  readonly #fileBytes: number | null;
  /** Files of one size are read into the same memory. */
  readonly #scratch: Buffer;
  readonly #temporary: string;
  readonly #log: (message: string) => void;
  #lastFailure: string | null = null;

  constructor({ path, kind, payloadBytes, runFolder, counters, log }: BlockFolderOptions) {
    this.path = path;
    this.counters = counters;
    this.#kind = kind;
    this.#temporary = join(runFolder, `block${pieceEndings[kind]}.tmp`);
    this.#fileBytes = payloadBytes === null ? null : blockFileBytes(payloadBytes);
    // One byte more, so that a file that grew is noticed.
    this.#scratch = Buffer.alloc((this.#fileBytes ?? 0) + 1);
    this.#log = log;
  }

  /** Whether a file of a possible size is there; its content is checked when it is read. */
  has(hash: string): boolean {
    try {
      const size = statSync(this.#fileOf(hash), { throwIfNoEntry: false })?.size;
      return this.#fileBytes === null ? (size ?? 0) > blockFileBytes(0) : size === this.#fileBytes;
    } catch (error) {
      this.#log(`Block ${hash} cannot be looked up: ${messageOf(error)}`);
      return false;
    }
  }

  /** The piece's payload, valid until the next read; null when it is missing or was damaged, and then deleted. */
  read(hash: string): Buffer | null {
    const bytes = this.#readFile(hash);
    if (bytes === null) return null;
    const payload =
      this.#fileBytes === null || bytes.length === this.#fileBytes ? decodeBlock(hash, bytes, this.#kind) : null;
    if (payload) this.counters.read++;
    else {
      this.counters.damaged++;
      this.#log(`Block ${hash} is damaged; it is deleted and will be computed again.`);
      this.remove(hash);
    }
    return payload;
  }

  /** False when it could not be written: the caller continues without it. Folders that were deleted are made again. */
  write(hash: string, payload: Uint8Array): boolean {
    const file = this.#fileOf(hash);
    const bytes = encodeBlock(hash, payload, this.#kind);
    try {
      orInNewFolder(this.#temporary, () => writeFileSync(this.#temporary, bytes, { mode: 0o600 }));
      orInNewFolder(file, () => renameSync(this.#temporary, file));
    } catch (error) {
      this.counters.writeFailures++;
      // A full disk fails a thousand times the same way.
      const reason = messageOf(error).replaceAll(hash, 'BLOCK').replaceAll(hash.slice(0, 2), '');
      if (reason !== this.#lastFailure) this.#log(`KV cannot be stored, so it will not be reused: ${messageOf(error)}`);
      this.#lastFailure = reason;
      return false;
    }
    this.#lastFailure = null;
    this.counters.written++;
    return true;
  }

  remove(hash: string): void {
    try {
      rmSync(this.#fileOf(hash), { force: true, recursive: true });
    } catch (error) {
      this.#log(`Block ${hash} cannot be deleted: ${messageOf(error)}`);
    }
  }

  /** Null when the file is missing; no bytes when it cannot be read. */
  #readFile(hash: string): Buffer | null {
    try {
      if (this.#fileBytes === null) return readFileSync(this.#fileOf(hash));
      const file = openSync(this.#fileOf(hash), 'r');
      try {
        return this.#scratch.subarray(0, readSync(file, this.#scratch, 0, this.#scratch.length, 0));
      } finally {
        closeSync(file);
      }
    } catch (error) {
      if (isMissing(error)) return null;
      this.#log(`Block ${hash} cannot be read: ${messageOf(error)}`);
      return Buffer.alloc(0);
    }
  }

  #fileOf(hash: string): string {
    return join(this.path, hash.slice(0, 2), `${hash}${pieceEndings[this.#kind]}`);
  }
}

/** Tries again in a new folder when that of `path` is missing. */
function orInNewFolder(path: string, write: () => void): void {
  try {
    write();
  } catch (error) {
    if (!isMissing(error)) throw error;
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    write();
  }
}

const isMissing = (error: unknown): boolean => error instanceof Error && 'code' in error && error.code === 'ENOENT';

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
