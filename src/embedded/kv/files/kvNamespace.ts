import { mkdirSync, writeFileSync } from 'node:fs';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { sha256Hex } from '../../../base/hash.ts';
import { defaultHashSeed, type BlockHashProfile } from '../../../base/kvBlockHash.ts';
import { CwmError } from '../../../protocol/errors.ts';
import type { KvLayout } from '../state/kvLayout.ts';

/** This engine names blocks as vLLM ≥ 0.31 does with `--prefix-caching-hash-algo sha256_cbor`. */
export const hashProfile: BlockHashProfile = {
  algorithm: 'sha256_cbor',
  seed: defaultHashSeed,
  saltEncoding: 'tagged',
};

/**
 * Of the files and of how KV is computed: a canary is compared bit for bit. KV is cache, so that files of an older format are deleted, not read.
 */
const formatVersion = 4;

/** Everything that a block's bytes depend on and its name does not contain. */
export interface KvNamespace {
  readonly formatVersion: typeof formatVersion;
  readonly modelSha256: string;
  readonly llamaCpp: string;
  /** Null when no part of the state can be cut into rows. */
  readonly layout: KvLayout | null;
  /** As in `StateShape`. */
  readonly hasPositionState?: true;
  /** Which key encrypts it; absent for KV in clear. */
  readonly keyId?: string;
  /** The kind of GPU that computed it, whose last bits are its own; absent for the CPU. */
  readonly gpu?: string;
  readonly blockTokens: number;
  readonly hashProfile: BlockHashProfile;
  /** Context length, for models whose position encoding changes with it; null for all others. */
  readonly positionContext: number | null;
}

const cacheTag = `Signature: 8a477f597d28d172789f06886806bc55
# KV blocks of language models: they can be recomputed, so backups may leave them out.
# See https://bford.info/cachedir/
`;

/**
 * Makes the folder of this namespace, `<kvDir>/<digest>`, with a `config.json` that says what it is.
 *
 * @throws CwmError WriteFailed when the folder cannot be written.
 */
export function openKvNamespace(kvDir: string, settings: Omit<KvNamespace, 'formatVersion'>): string {
  const namespace: KvNamespace = { formatVersion, ...settings };
  const config = JSON.stringify(namespace, null, 2);
  const folder = join(kvDir, sha256Hex(JSON.stringify(namespace)).slice(0, 32));
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    writeFileSync(join(kvDir, 'CACHEDIR.TAG'), cacheTag, { mode: 0o600 });
    writeFileSync(join(folder, 'config.json'), `${config}\n`, { mode: 0o600 });
  } catch (cause) {
    throw new CwmError('WriteFailed', `The folder for KV blocks, ${kvDir}, cannot be written.`, { cause });
  }
  return folder;
}

/**
 * Deletes folders that no engine of this store reads any more: of older formats, in clear where KV is encrypted now, or encrypted with
 * another key. One that cannot be deleted stays until the budget evicts it.
 */
export async function deleteUnreadableKv(kvDir: string, keyId: string | null): Promise<void> {
  for (const name of await readdir(kvDir)) {
    if (!/^[0-9a-f]{32}$/.test(name)) continue;
    const folder = join(kvDir, name);
    const found = await readFile(join(folder, 'config.json'), 'utf8').then(settingsOf, () => null);
    if (!found || found.version > formatVersion || (found.version === formatVersion && found.keyId === keyId)) continue;
    await rm(folder, { recursive: true, force: true });
  }
}

function settingsOf(config: string): { readonly version: number; readonly keyId: string | null } | null {
  try {
    const { formatVersion: version, keyId } = JSON.parse(config) as Partial<Record<keyof KvNamespace, unknown>>;
    return typeof version === 'number' ? { version, keyId: typeof keyId === 'string' ? keyId : null } : null;
  } catch {
    return null;
  }
}
