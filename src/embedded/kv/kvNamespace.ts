import { mkdirSync, writeFileSync } from 'node:fs';
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

/** Everything that the bytes of a block depend on, and its name does not contain. */
export interface KvNamespace {
  readonly formatVersion: 1;
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
export function openKvNamespace(kvDir: string, namespace: KvNamespace): string {
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
