import { readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { blockFileBytes, decodeBlock, encodeBlock, pieceEndings, type BlockSeal, type PieceKind } from './blockFile.ts';
import { isMissing, messageOf, writePiece } from './writePiece.ts';

/** Counts of work on KV files since the process started. */
export interface BlockCounters {
  read: number;
  written: number;
  /** Files that were damaged or were not the piece of their name. Each was deleted. */
  damaged: number;
  /** Pieces that could not be written, as on a full disk. They are computed again when they are needed. */
  writeFailures: number;
  /** Milliseconds from the first read until llama.cpp had the state, over all loads. */
  loadMs: number;
  /** Of these, milliseconds until the blocks were read, checked and placed; the rest is llama.cpp's. */
  placeMs: number;
  /** Milliseconds from the start of llama.cpp's save until all files were written, over all stores. */
  storeMs: number;
  /** Of these, milliseconds of llama.cpp's save. */
  saveMs: number;
  /** Blocks that got their SHA-256, which happens after the store. */
  summed: number;
  /** Milliseconds that this took. */
  sumMs: number;
}

export interface BlockFolderOptions {
  readonly path: string;
  readonly kind: PieceKind;
  readonly seal: BlockSeal;
  /** Null when pieces differ in size. */
  readonly payloadBytes: number | null;
  readonly counters: BlockCounters;
  readonly log: (message: string) => void;
}

export const newBlockCounters = (): BlockCounters => ({
  read: 0,
  written: 0,
  damaged: 0,
  writeFailures: 0,
  loadMs: 0,
  placeMs: 0,
  storeMs: 0,
  saveMs: 0,
  summed: 0,
  sumMs: 0,
});

/** Where the piece of this name is, `<folder>/<first two hex>/<hash>.kv` for rows, `.state` for position states. */
export const pieceFile = (folder: string, hash: string, kind: PieceKind): string =>
  join(folder, hash.slice(0, 2), `${hash}${pieceEndings[kind]}`);

/**
 * One file for each piece of KV. The files are a cache: written atomically but not fsynced, believed only when the tags over name and
 * bytes hold, deleted when they do not. Several processes may use one folder.
 */
export class BlockFolder {
  readonly path: string;
  readonly kind: PieceKind;
  readonly seal: BlockSeal;
  readonly counters: BlockCounters;
  /** Null when pieces differ in size. */
  readonly payloadBytes: number | null;
  readonly #log: (message: string) => void;
  #lastFailure: string | null = null;

  constructor({ path, kind, seal, payloadBytes, counters, log }: BlockFolderOptions) {
    this.path = path;
    this.kind = kind;
    this.seal = seal;
    this.counters = counters;
    this.payloadBytes = payloadBytes;
    this.#log = log;
  }

  /**
   * Whether a file of a possible size is there; its content is checked when it is read.
   *
   * @param payloadBytes null for any. Default: as of the other pieces.
   */
  has(hash: string, payloadBytes = this.payloadBytes): boolean {
    return this.bytesOf(hash, payloadBytes) !== null;
  }

  /** Size of the file, where it is a possible one; else null. */
  bytesOf(hash: string, payloadBytes = this.payloadBytes): number | null {
    try {
      const size = statSync(this.#fileOf(hash), { throwIfNoEntry: false })?.size ?? 0;
      const isPossible = payloadBytes === null ? size > blockFileBytes(0) : size === blockFileBytes(payloadBytes);
      return isPossible ? size : null;
    } catch (error) {
      this.#log(`Block ${hash} cannot be looked up: ${messageOf(error)}`);
      return null;
    }
  }

  /** The piece's payload; null when it is missing or was damaged, and then deleted. */
  read(hash: string): Buffer | null {
    let file: Buffer;
    try {
      file = readFileSync(this.#fileOf(hash));
    } catch (error) {
      if (isMissing(error)) return null;
      this.#log(`Block ${hash} cannot be read: ${messageOf(error)}`);
      file = Buffer.alloc(0);
    }
    const payload = decodeBlock(hash, file, this.kind, this.seal);
    if (payload) this.counters.read++;
    else this.removeDamaged(hash);
    return payload;
  }

  /** False when it could not be written: the caller continues without it. */
  write(hash: string, payload: Uint8Array, temporary: string): boolean {
    try {
      writePiece(this.#fileOf(hash), temporary, encodeBlock(hash, payload, this.kind, this.seal));
    } catch (error) {
      this.failedToWrite(hash, messageOf(error));
      return false;
    }
    this.#lastFailure = null;
    this.counters.written++;
    return true;
  }

  /** Counts the failure, and logs it unless the previous write failed in the same way: a full disk fails a thousand times. */
  failedToWrite(hash: string, message: string): void {
    this.counters.writeFailures++;
    const reason = message.replaceAll(hash, 'BLOCK').replaceAll(hash.slice(0, 2), '');
    if (reason !== this.#lastFailure) this.#log(`KV cannot be stored, so it will not be reused: ${message}`);
    this.#lastFailure = reason;
  }

  removeDamaged(hash: string): void {
    this.counters.damaged++;
    this.#log(`Block ${hash} is damaged; it is deleted and will be computed again.`);
    this.remove(hash);
  }

  remove(hash: string): void {
    try {
      rmSync(this.#fileOf(hash), { force: true, recursive: true });
    } catch (error) {
      this.#log(`Block ${hash} cannot be deleted: ${messageOf(error)}`);
    }
  }

  #fileOf(hash: string): string {
    return pieceFile(this.path, hash, this.kind);
  }
}
