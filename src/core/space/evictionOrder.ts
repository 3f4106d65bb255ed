import type { CachedBlock } from '../ports/blockCache.ts';

/** How the windows that have a block use it. */
export interface BlockUse {
  /** Of the window that was used last. */
  readonly lastUsedMs: number;
  /** Whether any of them is pinned. */
  readonly isPinned: boolean;
  /** Its place in their contexts, from 0. */
  readonly index: number;
}

/**
 * The blocks that a budget may take, those that are missed least first: blocks of no window, the oldest first; then those of
 * windows, as long ago as they were used, and of each window the last ones first, since a block is of no use without those
 * before it. Never those of a pinned window, nor fresh ones of no window.
 */
export function evictionOrder(
  blocks: readonly CachedBlock[],
  uses: ReadonlyMap<string, BlockUse>,
  { nowMs, graceMs }: { readonly nowMs: number; readonly graceMs: number },
): CachedBlock[] {
  const isFresh = ({ writtenAtMs }: CachedBlock): boolean => Math.abs(nowMs - writtenAtMs) < graceMs;
  const loose = blocks.filter((block) => !uses.has(block.hash) && !isFresh(block));
  const owned = blocks.flatMap((block) => {
    const use = uses.get(block.hash);
    return use && !use.isPinned ? [{ block, use }] : [];
  });
  loose.sort((a, b) => a.writtenAtMs - b.writtenAtMs);
  owned.sort((a, b) => a.use.lastUsedMs - b.use.lastUsedMs || b.use.index - a.use.index);
  return [...loose, ...owned.map(({ block }) => block)];
}
