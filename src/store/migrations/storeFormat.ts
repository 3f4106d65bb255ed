import { join } from 'node:path';
import * as z from 'zod/mini';
import { CwmError } from '../../protocol/errors.ts';
import { hasCode, type Files } from '../disk/files.ts';
import { sessionPaths, windowPaths, type Layout } from '../disk/layout.ts';
import { DamageError, encodeRecord, openRecord, type RawRecord } from '../disk/record.ts';

/** The content of `store.json`. Its version is that of the store. */
const storeRecordSchema = z.object({
  createdAt: z.string(),
  /** A step to this version has begun and not ended. */
  migrating: z.optional(z.object({ from: z.number(), backup: z.string() })),
});
export type StoreRecord = z.infer<typeof storeRecordSchema>;

export type StoreFormat =
  /** There is nothing yet. */
  | { readonly kind: 'none' }
  | { readonly kind: 'known'; readonly version: number; readonly record: StoreRecord }
  /** There are records, and no `store.json` that could be read. */
  | { readonly kind: 'lost'; readonly version: number; readonly isDamaged: boolean }
  /** A later version than the known one wrote it. */
  | { readonly kind: 'newer'; readonly version: number };

/** How many records are asked for their version when `store.json` is lost. */
const askedRecords = 20;
const oldestVersion = 1;

/** Looks, and changes nothing. */
export async function readStoreFormat(files: Files, layout: Layout, knownVersion: number): Promise<StoreFormat> {
  const raw = await readRaw(files, layout.storeRecord);
  if (raw !== 'damaged' && raw !== null) {
    if (raw.formatVersion > knownVersion) return { kind: 'newer', version: raw.formatVersion };
    const parsed = storeRecordSchema.safeParse(raw.value);
    if (parsed.success) return { kind: 'known', version: raw.formatVersion, record: parsed.data };
    throw new CwmError('UnsupportedSchema', 'store.json does not have the expected fields.', { cause: parsed.error });
  }
  const paths = await someRecords(files, layout);
  const isDamaged = raw !== null;
  if (paths.length === 0 && !isDamaged) return { kind: 'none' };
  let latest = oldestVersion;
  for (const path of paths) {
    const record = await readRaw(files, path);
    if (record !== null && record !== 'damaged') latest = Math.max(latest, record.formatVersion);
  }
  // Steps may be repeated, so that starting from the first one is never wrong.
  return latest > knownVersion
    ? { kind: 'newer', version: latest }
    : { kind: 'lost', version: oldestVersion, isDamaged };
}

export const encodeStoreRecord = (record: StoreRecord, version: number): Uint8Array => encodeRecord(record, version);

async function someRecords(files: Files, layout: Layout): Promise<string[]> {
  const sessions = await namesIfThere(files, layout.contexts);
  const windows = await namesIfThere(files, layout.windows);
  return [
    ...sessions.slice(0, askedRecords).map((name) => sessionPaths(join(layout.contexts, name)).metadata),
    ...windows.slice(0, askedRecords).map((name) => windowPaths(join(layout.windows, name)).manifest),
  ];
}

async function namesIfThere(files: Files, directory: string): Promise<string[]> {
  return (await files.stat(directory))?.kind === 'directory' ? files.list(directory) : [];
}

async function readRaw(files: Files, path: string): Promise<RawRecord | 'damaged' | null> {
  try {
    return openRecord(await files.read(path));
  } catch (error) {
    if (error instanceof DamageError) return 'damaged';
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return null;
    throw error;
  }
}
