import { isDeepStrictEqual } from 'node:util';
import type * as z from 'zod/mini';
import { sha256Hex } from '../../base/hash.ts';
import { CwmError } from '../../protocol/errors.ts';

/**
 * Version of what this program writes: of every record's envelope and content, and, as the version of `store.json`, of everything
 * else in the store. A change that an older program would misread makes it one more, with a step in `migrations/`.
 */
export const recordFormatVersion = 2;

/** The bytes are not those that were written: a torn write, a flipped bit, another program. */
export class DamageError extends Error {
  override readonly name = 'DamageError';
}

/**
 * A JSON file that knows when it is damaged: `{"formatVersion":1,"sha256":"…","value":…}` and a newline. The SHA-256 is over the
 * version and the value's bytes as they stand, so that no bit of the file can change unseen.
 */
export function encodeRecord(value: unknown, formatVersion: number = recordFormatVersion): Uint8Array {
  const text = JSON.stringify(value);
  const sum = checksum(formatVersion, Buffer.from(text));
  return Buffer.from(`{"formatVersion":${formatVersion},"sha256":"${sum}","value":${text}}\n`);
}

/** A whole record of any version; its content is not checked. */
export interface RawRecord {
  readonly formatVersion: number;
  readonly value: unknown;
}

/** @throws DamageError when the bytes are not a whole record. */
export function openRecord(bytes: Uint8Array): RawRecord {
  const whole = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  // The head is plain ASCII and shorter than this.
  const head = headPattern.exec(whole.toString('latin1', 0, 128));
  if (!head || whole.toString('latin1', whole.length - 2) !== '}\n') throw new DamageError('It is not a whole record.');
  const value = whole.subarray(head[0].length, -2);
  const formatVersion = Number(head[1]);
  if (checksum(formatVersion, value) !== head[2]) throw new DamageError('Its checksum does not match its content.');
  try {
    return { formatVersion, value: JSON.parse(value.toString('utf8')) as unknown };
  } catch {
    throw new DamageError('Its content is not JSON.');
  }
}

/**
 * @param knownVersion the latest version that this program can read; a later one is refused.
 * @throws DamageError when the bytes are not a whole record.
 * @throws CwmError UnsupportedSchema when the record is whole, but another version of this program wrote it.
 */
export function decodeRecord<Schema extends z.ZodMiniType>(
  bytes: Uint8Array,
  schema: Schema,
  knownVersion: number = recordFormatVersion,
): z.output<Schema> {
  const { formatVersion, value } = openRecord(bytes);
  if (formatVersion > knownVersion) {
    throw new CwmError(
      'UnsupportedSchema',
      `A record has format version ${formatVersion}; this is version ${knownVersion}.`,
    );
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  // Its checksum is right, so it is as it was written: not damaged, and never to be moved away.
  throw new CwmError('UnsupportedSchema', 'A record does not have the expected fields.', { cause: parsed.error });
}

const headPattern = /^\{"formatVersion":([1-9]\d{0,8}),"sha256":"([0-9a-f]{64})","value":/;

const checksum = (formatVersion: number, value: Uint8Array): string => sha256Hex(`${formatVersion}\n`, value);

/** Whether two records have the same value, in whatever order its fields stand: what was read has them in another order than what was made. */
export function isSameRecord(one: Uint8Array, other: Uint8Array): boolean {
  if (Buffer.compare(one, other) === 0) return true;
  try {
    return isDeepStrictEqual(openRecord(one), openRecord(other));
  } catch (error) {
    if (error instanceof DamageError) return false;
    throw error;
  }
}
