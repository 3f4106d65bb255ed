/** How the windows that have a block use it. */
export interface BlockUse {
  /** When the most recently used of the windows was used. */
  readonly lastUsedMs: number;
  /** Whether any of them is pinned. */
  readonly isPinned: boolean;
  /** No window has it, only the rolling checkpoint of a session. Default: no. */
  readonly isCheckpoint?: boolean;
  /** Its place in their contexts, from 0. */
  readonly index: number;
}

/** A file of KV. */
interface Evictable {
  readonly hash: string;
  readonly writtenAtMs: number;
}

/**
 * The blocks that a budget may evict, the least useful first. Blocks of no window come first, the oldest before the others. Blocks of
 * rolling checkpoints follow, then those of windows: of each kind those of the longest unused window first, and of each window the last block first, because a block is of no use
 * without those before it. Blocks of pinned windows and fresh blocks of no window are never evicted.
 */
export function evictionOrder<Block extends Evictable>(
  blocks: readonly Block[],
  uses: ReadonlyMap<string, BlockUse>,
  { nowMs, graceMs }: { readonly nowMs: number; readonly graceMs: number },
): Block[] {
  const isFresh = ({ writtenAtMs }: Block): boolean => Math.abs(nowMs - writtenAtMs) < graceMs;
  const loose = blocks.filter((block) => !uses.has(block.hash) && !isFresh(block));
  const owned = blocks.flatMap((block) => {
    const use = uses.get(block.hash);
    return use && !use.isPinned ? [{ block, use }] : [];
  });
  loose.sort((a, b) => a.writtenAtMs - b.writtenAtMs);
  const kind = (use: BlockUse): number => (use.isCheckpoint === true ? 0 : 1);
  owned.sort((a, b) => kind(a.use) - kind(b.use) || a.use.lastUsedMs - b.use.lastUsedMs || b.use.index - a.use.index);
  return [...loose, ...owned.map(({ block }) => block)];
}
