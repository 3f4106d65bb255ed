import { sha256Hex } from '../../base/hash.ts';
import { decodeTokenIds } from '../../base/tokenIds.ts';

/** Token ids of a `.u32` file; null when its bytes are not those of this SHA-256, or no whole number of ids. */
export function openTokens(bytes: Uint8Array, sha256: string): number[] | null {
  if (bytes.length % 4 !== 0 || sha256Hex(bytes) !== sha256) return null;
  return decodeTokenIds(bytes);
}
