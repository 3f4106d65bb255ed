import type * as z from 'zod/mini';
import { basename } from 'node:path';
import { CwmError } from '../../protocol/errors.ts';
import type { DurableWrites } from './durableWrites.ts';
import { hasCode, tooLarge, type Files } from './files.ts';
import type { Quarantine } from './quarantine.ts';
import { DamageError, decodeRecord, encodeRecord } from './record.ts';

/** A record that is in memory. */
interface Kept {
  /** Of its file before that was read, or after it was written: a change since shows. */
  readonly fingerprint: string;
  readonly bytes: Uint8Array;
  /** Null: it was written, and nobody has asked for it since. */
  readonly read: { readonly schema: z.ZodMiniType; readonly value: unknown } | null;
}

const mostKept = 128;

/** Records as files. */
export class RecordFiles {
  readonly #files: Files;
  readonly #writes: DurableWrites;
  readonly #quarantine: Quarantine;
  readonly #knownVersion: number;
  /** By path. The one that was asked for last comes last. */
  readonly #kept = new Map<string, Kept>();

  /** @param knownVersion the latest version of a record that is not refused. */
  constructor(files: Files, writes: DurableWrites, quarantine: Quarantine, knownVersion: number) {
    this.#files = files;
    this.#writes = writes;
    this.#quarantine = quarantine;
    this.#knownVersion = knownVersion;
  }

  /**
   * @param keep whether {@link kept} has it afterwards.
   * @returns null when there is no such file.
   * @throws CwmError Corrupted when it is damaged (it was set aside), UnsupportedSchema when another version wrote it.
   */
  async read<Schema extends z.ZodMiniType>(
    path: string,
    schema: Schema,
    keep = false,
  ): Promise<z.output<Schema> | null> {
    try {
      const stat = keep ? await this.#files.stat(path) : null;
      const bytes = await this.#writes.readIfThere(path);
      if (bytes === null) return null;
      const value = decodeRecord(bytes, schema, this.#knownVersion);
      if (stat) this.#keep(path, { fingerprint: stat.fingerprint, bytes, read: { schema, value } });
      return value;
    } catch (thrown) {
      const error = hasCode(thrown, tooLarge) ? new DamageError('It is larger than any record.') : thrown;
      if (!(error instanceof DamageError)) throw error;
      await this.#quarantine.setAside(path, error.message);
      throw new CwmError('Corrupted', `A record of the store was damaged (${basename(path)}): ${error.message}`, {
        cause: error,
      });
    }
  }

  /** A record that is in memory, and whose file is the one that it was read from: nothing is read for it. Null: {@link read} it. */
  async kept<Schema extends z.ZodMiniType>(path: string, schema: Schema): Promise<z.output<Schema> | null> {
    const kept = await this.#unchanged(path);
    if (!kept) return null;
    if (kept.read) return kept.read.schema === schema ? (kept.read.value as z.output<Schema>) : null;
    const value = decodeRecord(kept.bytes, schema, this.#knownVersion);
    this.#keep(path, { ...kept, read: { schema, value } });
    return value;
  }

  /** Replaces the record that is there, if one is. */
  async write(path: string, value: unknown): Promise<void> {
    await this.#replace(path, value, await this.#unchanged(path));
  }

  /** The same of one that {@link kept} or {@link read} gave just now; {@link kept} has it afterwards. */
  async rewrite(path: string, value: unknown): Promise<void> {
    const bytes = await this.#replace(path, value, this.#kept.get(path) ?? null);
    const stat = await this.#files.stat(path);
    if (stat) this.#keep(path, { fingerprint: stat.fingerprint, bytes, read: null });
  }

  async #replace(path: string, value: unknown, before: Kept | null): Promise<Uint8Array> {
    const bytes = encodeRecord(value);
    this.#kept.delete(path);
    await this.#writes.replaceFile(path, bytes, before?.bytes);
    return bytes;
  }

  async #unchanged(path: string): Promise<Kept | null> {
    const kept = this.#kept.get(path);
    if (!kept) return null;
    if ((await this.#files.stat(path))?.fingerprint === kept.fingerprint) {
      this.#keep(path, kept);
      return kept;
    }
    if (this.#kept.get(path) === kept) this.#kept.delete(path);
    return null;
  }

  #keep(path: string, kept: Kept): void {
    this.#kept.delete(path);
    this.#kept.set(path, kept);
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > mostKept && oldest !== undefined) this.#kept.delete(oldest);
  }
}
