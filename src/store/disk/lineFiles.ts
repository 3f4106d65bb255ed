import type * as z from 'zod/mini';
import type { DurableWrites } from './durableWrites.ts';
import { hasCode, tooLarge, type Files } from './files.ts';
import { decodeLines, encodeLines, type DecodedLines } from './lines.ts';
import type { Quarantine } from './quarantine.ts';

/** Append-only files of checksummed lines. Calls that write to one file must come one after another. */
export class LineFiles {
  readonly #files: Files;
  readonly #writes: DurableWrites;
  readonly #quarantine: Quarantine;
  /** Sizes of the files whose end is known to be a whole line. */
  readonly #sizes = new Map<string, number>();

  constructor(files: Files, writes: DurableWrites, quarantine: Quarantine) {
    this.#files = files;
    this.#writes = writes;
    this.#quarantine = quarantine;
  }

  /** Changes nothing, and does not see a line that is just being written. A missing file has no lines. */
  async load<Schema extends z.ZodMiniType>(path: string, schema: Schema): Promise<DecodedLines<z.output<Schema>>> {
    const decoded = await this.#decode(path, schema);
    if (decoded.damagedLines.length > 0) {
      this.#quarantine.note(path, `Damaged lines: ${decoded.damagedLines.join(', ')}.`);
    }
    return decoded;
  }

  async #decode<Schema extends z.ZodMiniType>(path: string, schema: Schema): Promise<DecodedLines<z.output<Schema>>> {
    try {
      return decodeLines((await this.#writes.readIfThere(path)) ?? new Uint8Array(), schema);
    } catch (error) {
      // It stays where it is: its first lines may be whole.
      if (!hasCode(error, tooLarge)) throw error;
      return { values: [], damagedLines: [1], wholeBytes: 0 };
    }
  }

  /** First cuts off the part of a line that an earlier crash left, so that it cannot spoil the next one. */
  async append(path: string, values: readonly unknown[]): Promise<void> {
    await this.mend(path);
    const sizeBytes = this.#sizes.get(path) ?? 0;
    const bytes = encodeLines(values);
    this.#sizes.delete(path);
    await this.#writes.append(path, bytes, sizeBytes);
    this.#sizes.set(path, sizeBytes + bytes.length);
  }

  async replace(path: string, values: readonly unknown[]): Promise<void> {
    this.#sizes.delete(path);
    await this.#writes.replaceFile(path, encodeLines(values));
  }

  /** Call it when the file is gone or another program changed it. */
  forget(path: string): void {
    this.#sizes.delete(path);
  }

  /**
   * Cuts off the part of a line that a crash left. A file that is larger than any of lines is set aside, and a new one begins.
   *
   * @returns whether there was one.
   */
  async mend(path: string): Promise<boolean> {
    if (this.#sizes.has(path)) return false;
    const bytes =
      (await this.#writes.readIfThere(path).catch((error: unknown) => this.#asideIfTooLarge(path, error))) ??
      new Uint8Array();
    const wholeBytes = bytes.lastIndexOf(0x0a) + 1;
    const isTorn = wholeBytes < bytes.length;
    if (isTorn) {
      await this.#files.truncate(path, wholeBytes);
      this.#quarantine.note(
        path,
        'Its last line was cut short by a crash, before it was acknowledged, and was removed.',
      );
    }
    this.#sizes.set(path, wholeBytes);
    return isTorn;
  }

  async #asideIfTooLarge(path: string, error: unknown): Promise<null> {
    if (!hasCode(error, tooLarge)) throw error;
    await this.#quarantine.setAside(path, 'It is larger than any file of lines.');
    if ((await this.#files.stat(path)) !== null) throw error;
    return null;
  }
}
