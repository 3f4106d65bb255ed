import type * as z from 'zod/mini';
import { basename } from 'node:path';
import { CwmError } from '../../protocol/errors.ts';
import type { DurableWrites } from './durableWrites.ts';
import { hasCode, tooLarge } from './files.ts';
import type { Quarantine } from './quarantine.ts';
import { DamageError, decodeRecord, encodeRecord } from './record.ts';

/** Records as files. */
export class RecordFiles {
  readonly #writes: DurableWrites;
  readonly #quarantine: Quarantine;
  readonly #knownVersion: number;

  /** @param knownVersion the latest version of a record that is not refused. */
  constructor(writes: DurableWrites, quarantine: Quarantine, knownVersion: number) {
    this.#writes = writes;
    this.#quarantine = quarantine;
    this.#knownVersion = knownVersion;
  }

  /**
   * @returns null when there is no such file.
   * @throws CwmError Corrupted when it is damaged (it was set aside), UnsupportedSchema when another version wrote it.
   */
  async read<Schema extends z.ZodMiniType>(path: string, schema: Schema): Promise<z.output<Schema> | null> {
    try {
      const bytes = await this.#writes.readIfThere(path);
      if (bytes === null) return null;
      return decodeRecord(bytes, schema, this.#knownVersion);
    } catch (thrown) {
      const error = hasCode(thrown, tooLarge) ? new DamageError('It is larger than any record.') : thrown;
      if (!(error instanceof DamageError)) throw error;
      await this.#quarantine.setAside(path, error.message);
      throw new CwmError('Corrupted', `A record of the store was damaged (${basename(path)}): ${error.message}`, {
        cause: error,
      });
    }
  }

  /** Replaces the record that is there, if one is. */
  async write(path: string, value: unknown): Promise<void> {
    await this.#writes.replaceFile(path, encodeRecord(value));
  }
}
