import { mkdirSync, writeFileSync } from 'node:fs';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { sha256Hex } from '../../base/hash.ts';
import { defaultHashSeed, type BlockHashProfile } from '../../base/kvBlockHash.ts';
import { CwmError } from '../../protocol/errors.ts';
import type { KvLayout } from './kvLayout.ts';

/** How this engine names blocks: as vLLM ≥ 0.31 does with `--prefix-caching-hash-algo sha256_cbor`. */
export const hashProfile: BlockHashProfile = {
  algorithm: 'sha256_cbor',
  seed: defaultHashSeed,
  saltEncoding: 'tagged',
};

/** Of block files. KV is cache, so that files of an older format are deleted, not read. */
const formatVersion = 2;

/** Everything that the bytes of a block depend on, and its name does not contain. */
export interface KvNamespace {
  readonly formatVersion: typeof formatVersion;
  readonly modelSha256: string;
  readonly llamaCpp: string;
  /** Null when no part of the state can be cut into rows. */
  readonly layout: KvLayout | null;
  /** As in `StateShape`. */
  readonly hasPositionState?: true;
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

/** Deletes the folders of older formats, which no engine reads any more. One that cannot be deleted stays until the budget evicts it. */
export async function deleteOlderKv(kvDir: string): Promise<void> {
  for (const name of await readdir(kvDir)) {
    if (!/^[0-9a-f]{32}$/.test(name)) continue;
    const folder = join(kvDir, name);
    const version = await readFile(join(folder, 'config.json'), 'utf8').then(versionOf, () => null);
    if (version !== null && version < formatVersion) await rm(folder, { recursive: true, force: true });
  }
}

function versionOf(config: string): number | null {
  try {
    const version: unknown = Reflect.get(Object(JSON.parse(config)), 'formatVersion');
    return typeof version === 'number' ? version : null;
  } catch {
    return null;
  }
}
