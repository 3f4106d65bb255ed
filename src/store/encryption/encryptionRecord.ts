import type { KeyObject } from 'node:crypto';
import * as z from 'zod/mini';
import { DurableWrites } from '../disk/durableWrites.ts';
import type { Files } from '../disk/files.ts';
import type { Layout } from '../disk/layout.ts';
import { DamageError, decodeRecord, encodeRecord } from '../disk/record.ts';
import { openFrames, sealFrame } from './frames.ts';
import { keyError } from './keyFile.ts';

const encryptionRecordSchema = z.object({
  /** `encrypting` and `decrypting`: a conversion has begun and not ended. */
  state: z.enum(['encrypting', 'on', 'decrypting']),
  keyId: z.string(),
  /** Where the key was when it was last needed; absolute. */
  keyFile: z.string(),
  /** A known text under the key, in base64, so that a wrong key and damage look different. */
  check: z.string(),
});
/** `encryption.json`, which is never encrypted itself. A plain store has none. */
export type EncryptionRecord = z.infer<typeof encryptionRecordSchema>;

const known = Buffer.from('context window manager');

export const checkOf = (key: KeyObject): string => sealFrame(key, known).toString('base64');

export const fits = (key: KeyObject, { check }: EncryptionRecord): boolean =>
  openFrames(key, Buffer.from(check, 'base64')).plain.equals(known);

/** @throws CwmError EncryptionKey when it is damaged: then nothing can be trusted or written. */
export async function readEncryptionRecord(files: Files, layout: Layout): Promise<EncryptionRecord | null> {
  const bytes = await new DurableWrites(files, layout.temporary).readIfThere(layout.encryption);
  if (bytes === null) return null;
  try {
    return decodeRecord(bytes, encryptionRecordSchema);
  } catch (error) {
    if (!(error instanceof DamageError)) throw error;
    throw keyError(
      'encryption.json of the store is damaged.',
      'Restore it from a backup of the storage directory.',
      error,
    );
  }
}

export const writeEncryptionRecord = (files: Files, layout: Layout, record: EncryptionRecord): Promise<void> =>
  new DurableWrites(files, layout.temporary).replaceFile(layout.encryption, encodeRecord(record));
