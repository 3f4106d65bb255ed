import { defaultHashSeed } from '../../base/kvBlockHash.ts';
import type { HashProfile } from '../../protocol/schemas/window.ts';
import { isAtLeast } from './versionNumber.ts';

const algorithms: readonly HashProfile['algorithm'][] = ['sha256', 'sha256_cbor'];

/**
 * This server's way to hash blocks, by its own statements: the algorithm from `vllm:cache_config_info`, the form of the salt from the
 * version (vllm#51899: tagged from 0.31). Null when it hashes in a way that this client does not know.
 */
export function expectedHashProfile(version: string, algorithm: string | undefined): HashProfile | null {
  const known = algorithms.find((name) => name === algorithm);
  if (!known) return null;
  return { algorithm: known, seed: defaultHashSeed, saltEncoding: saltEncodingOf(version) };
}

/** Every profile to look for among the files, the likeliest first. `seeds` are further values of the server's PYTHONHASHSEED. */
export function candidateHashProfiles(
  expected: HashProfile | null,
  version: string,
  seeds: readonly string[],
): HashProfile[] {
  const likely = expected ?? { algorithm: 'sha256_cbor', seed: defaultHashSeed, saltEncoding: saltEncodingOf(version) };
  const others: HashProfile[] = [];
  for (const seed of [likely.seed, ...seeds]) {
    for (const algorithm of algorithms) {
      for (const saltEncoding of ['tagged', 'bare'] as const) others.push({ algorithm, seed, saltEncoding });
    }
  }
  return [likely, ...others.filter((profile) => !sameProfile(profile, likely))];
}

const sameProfile = (a: HashProfile, b: HashProfile): boolean =>
  a.algorithm === b.algorithm && a.seed === b.seed && a.saltEncoding === b.saltEncoding;

const saltEncodingOf = (version: string): HashProfile['saltEncoding'] =>
  isAtLeast(version, 0, 31) === false ? 'bare' : 'tagged';
