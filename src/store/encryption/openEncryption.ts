import { hkdfSync, type KeyObject } from 'node:crypto';
import { join } from 'node:path';
import { CwmError } from '../../protocol/errors.ts';
import type { Files } from '../disk/files.ts';
import type { Layout } from '../disk/layout.ts';
import { readStoreFormat } from '../migrations/storeFormat.ts';
import { convertStore } from './convertStore.ts';
import { encryptedFiles } from './encryptedFiles.ts';
import {
  checkOf,
  fits,
  readEncryptionRecord,
  writeEncryptionRecord,
  type EncryptionRecord,
} from './encryptionRecord.ts';
import { plainEnvelope, sealedEnvelope, type Envelope } from './envelope.ts';
import { isSealed, keyIdOf, openFrames } from './frames.ts';
import { keyError, makeKeyFile, readKeyFile } from './keyFile.ts';

export interface EncryptionWish {
  /** Null: leave the store as it is. */
  readonly turn: 'on' | 'off' | null;
  /** Null: the path that the store names. Turning encryption on creates a missing key file. */
  readonly keyFile: string | null;
}

/** Whether a store is encrypted on the disk. */
export type Encryption =
  | { readonly state: 'off' }
  | { readonly state: 'on'; readonly keyId: string; readonly keyFile: string };

export interface OpenedEncryption {
  readonly files: Files;
  readonly encryption: Encryption;
  /** For files of the backend that are no records. */
  readonly envelope: Envelope;
  /** What the embedded engine encrypts KV with: 32 bytes that the store's key decides. Null where the store is not encrypted. */
  readonly kvKey: Uint8Array | null;
}

/**
 * Finds out whether the store is encrypted, finishes or makes the wanted conversion, and returns the files as the rest of the store
 * sees them.
 *
 * @param knownVersion the latest format of a store that may be converted: a later version may have files that this one would miss.
 * @throws CwmError EncryptionKey when the key is missing or another one, UnsupportedSchema when a later version wrote what is to be
 *   converted: nothing was moved or changed then. `readOnlyWhy` when it is given and something would have to be written.
 */
export async function openEncryption(
  files: Files,
  layout: Layout,
  { turn, keyFile: wanted }: EncryptionWish,
  knownVersion: number,
  readOnlyWhy: CwmError | null,
): Promise<OpenedEncryption> {
  const found = await readEncryptionRecord(files, layout);
  const off = { files, encryption: { state: 'off' }, envelope: plainEnvelope, kvKey: null } as const;
  if (found === null) {
    if (turn !== 'on') return off;
    if (readOnlyWhy) throw readOnlyWhy;
    if (wanted === null) throw new CwmError('InvalidParameter', 'To encrypt the store a key file must be named.');
    await requireKnown(files, layout, knownVersion);
    await makeKeyFile(wanted);
  }
  const keyFile = wanted ?? found?.keyFile ?? '';
  const key = await readKeyFile(keyFile);
  if (found && !fits(key, found)) {
    const message = `The key in ${keyFile} is not the one that the store was encrypted with (its id is ${found.keyId}).`;
    throw keyError(message, 'Name the right key file with --encryption-key-file or CWM_ENCRYPTION_KEY_FILE.');
  }
  const record: EncryptionRecord = found
    ? { ...found, keyFile }
    : { state: 'encrypting', keyId: keyIdOf(key), keyFile, check: checkOf(key) };
  if (readOnlyWhy && (turn !== null || record.state !== 'on')) throw readOnlyWhy;
  const isLeaving = turn === 'off' || (record.state === 'decrypting' && turn !== 'on');
  if (isLeaving || record.state !== 'on') await requireKnown(inEitherForm(files, key), layout, knownVersion);
  if (!readOnlyWhy) await files.makeDirectory(layout.temporary);
  if (isLeaving) {
    await writeEncryptionRecord(files, layout, { ...record, state: 'decrypting' });
    await convertStore(files, layout, key, 'plain');
    await files.remove(layout.encryption);
    await files.syncDirectory(layout.root);
    return off;
  }
  if (record.state !== 'on') {
    await writeEncryptionRecord(files, layout, { ...record, state: 'encrypting' });
    await convertStore(files, layout, key, 'encrypted');
    await deleteKv(files, layout);
  }
  if (!readOnlyWhy && (record.state !== 'on' || record.keyFile !== found?.keyFile)) {
    await writeEncryptionRecord(files, layout, { ...record, state: 'on' });
  }
  return {
    files: encryptedFiles(files, key, layout.temporary),
    encryption: { state: 'on', keyId: record.keyId, keyFile },
    envelope: sealedEnvelope(key),
    kvKey: new Uint8Array(hkdfSync('sha256', key.export(), '', 'context-window-manager kv', 32)),
  };
}

/** KV is cache: what was stored in clear is deleted, not converted. */
async function deleteKv(files: Files, layout: Layout): Promise<void> {
  if ((await files.stat(layout.kv))?.kind !== 'directory') return;
  for (const { name, kind } of await files.entries(layout.kv)) {
    if (kind === 'directory' && /^([0-9a-f]{32}|run-\d+)$/.test(name)) await files.removeTree(join(layout.kv, name));
  }
}

async function requireKnown(files: Files, layout: Layout, knownVersion: number): Promise<void> {
  if ((await readStoreFormat(files, layout, knownVersion)).kind !== 'newer') return;
  throw new CwmError(
    'UnsupportedSchema',
    'A later version wrote this store: this one can neither encrypt nor decrypt it.',
  );
}

/** Files of a store whose conversion is not finished. */
const inEitherForm = (files: Files, key: KeyObject): Files => ({
  ...files,
  read: async (path) => {
    const raw = Buffer.from(await files.read(path));
    return isSealed(raw) ? openFrames(key, raw).plain : raw;
  },
});
