import { reuseFloor } from '../evidence/reuse.ts';
import type { BlockRecord } from '../../protocol/schemas/window.ts';

/** A block whose file was damaged, and is deleted. */
export interface DeletedBlock {
  readonly hash: string;
  /** Where it begins in the context. */
  readonly firstToken: number;
  /** Those of its file when it was whole. */
  readonly checksums: readonly string[];
}

/**
 * Whether an engine had read a damaged file before it was deleted, and wrote it again out of its memory: it reused the block, which it can
 * only have had in memory, and its file has other bytes than the whole one had. A record of such a file would make damage the measure.
 * A block that it computed again may differ in its last bits.
 *
 * @param reusedTokens of the first request after the deletion; null: not known.
 */
export function hasDamageInMemory(
  deleted: readonly DeletedBlock[],
  written: readonly Pick<BlockRecord, 'hash' | 'checksum'>[],
  reusedTokens: number | null,
): boolean {
  const now = new Map(written.map(({ hash, checksum }) => [hash, checksum]));
  return deleted.some(({ hash, firstToken, checksums }) => {
    const checksum = now.get(hash);
    return checksum !== undefined && firstToken < (reusedTokens ?? Infinity) && !checksums.includes(checksum);
  });
}

/**
 * Where a file begins in its context, in tokens. A file may hold several blocks. The last one may hold less than a block: the tokens between the
 * blocks that can be reused and the last token.
 */
export function firstTokenOf(
  index: number,
  {
    files,
    tokens,
    blockTokens,
  }: { readonly files: number; readonly tokens: number; readonly blockTokens: number | null },
): number {
  const tokensInFile = Math.max(blockTokens ?? 1, Math.floor(tokens / Math.max(1, files)));
  return Math.min(index * tokensInFile, reuseFloor(tokens, blockTokens ?? 1));
}
