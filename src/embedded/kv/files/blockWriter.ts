import { closeSync, openSync, renameSync, rmSync } from 'node:fs';
import { headBytes, sealBody, type BlockSeal, type SealedBody } from './blockFile.ts';
import { pieceFile } from './blockFolder.ts';
import type { BlockOutcome } from '../threads/blockJob.ts';
import { writeAll, writeAllOf } from './wholeCalls.ts';
import { inFolder, messageOf } from './writePiece.ts';

/**
 * The file of one block's rows while it is written, part by part, under a passing name. It gets its head, and then its name, at the end. The
 * first failure ends it.
 */
export class BlockWriter {
  readonly #path: string;
  readonly #temporary: string;
  readonly #body: SealedBody;
  #file: number | null = null;
  #at = headBytes;
  #hasHead = false;
  #failure: string | null = null;

  /** @param temporary on the same file system as the folder; overwritten when a process that died left it. */
  constructor(folder: string, hash: string, seal: BlockSeal, temporary: string) {
    this.#path = pieceFile(folder, hash, 'rows');
    this.#temporary = temporary;
    this.#body = sealBody(hash, 'rows', seal);
  }

  /**
   * The next bytes of the rows; the caller may overwrite them afterwards.
   *
   * @param isWhole whether they are all: head and rows are then one write, which a file system keeps in larger pages. Default: no.
   */
  add(bytes: Uint8Array, isWhole = false): void {
    this.#try(() => {
      this.#file ??= inFolder(this.#temporary, () => openSync(this.#temporary, 'w', 0o600));
      const sealed = this.#body.add(bytes);
      if (isWhole) writeAllOf(this.#file, [this.#body.head(), sealed], 0);
      else writeAll(this.#file, sealed, this.#at);
      this.#hasHead = isWhole;
      this.#at += sealed.length;
    });
  }

  /** Gives the file its head and its name. */
  finish(): BlockOutcome {
    this.#try(() => {
      if (this.#file === null) throw new Error('A block has rows.');
      if (!this.#hasHead) writeAll(this.#file, this.#body.head(), 0);
      this.#close();
      inFolder(this.#path, () => renameSync(this.#temporary, this.#path));
    });
    if (this.#failure === null) return 'done';
    this.discard();
    return { failure: this.#failure };
  }

  /** Deletes what was written. */
  discard(): void {
    this.#close();
    try {
      rmSync(this.#temporary, { force: true });
    } catch {
      // What failed the write may fail this, too. The next block overwrites it.
    }
  }

  #close(): void {
    const file = this.#file;
    this.#file = null;
    if (file !== null) closeSync(file);
  }

  #try(write: () => void): void {
    if (this.#failure !== null) return;
    try {
      write();
    } catch (error) {
      this.#failure = messageOf(error);
    }
  }
}
