import type { Clock } from '../../base/clock.ts';
import type { CachedBlock } from '../ports/blockCache.ts';
import type { Store } from '../ports/store.ts';
import { evictionOrder, type BlockUse } from './evictionOrder.ts';
import type { Space } from './space.ts';
import { blocksOf, lastUsedAt, windowUses } from './windowUses.ts';

/** Part of the budget that is freed in addition, so that not every operation has to evict blocks. */
const fillAgainTo = 0.95;
/** Blocks deleted at a time: an operation that wants to hold blocks waits for no more than these. */
const blocksAtOnce = 256;

/**
 * When the embedded engine's blocks are over the budget, deletes blocks in the order of {@link evictionOrder}. They are only cache: a
 * thaw computes missing blocks again, and says so. An abort leaves the rest.
 *
 * @returns the bytes that this freed.
 */
export async function collect(space: Space, clock: Clock, signal: AbortSignal): Promise<number> {
  const { cache, inUse, limits } = space;
  const { kvBudgetBytes } = limits;
  if (kvBudgetBytes === null || (await cache.sizes(signal)).blockBytes <= kvBudgetBytes) return 0;
  return inUse.collecting(async () => {
    const blocks = await cache.list(signal);
    const uses = await usesOf(space.store, blocks, signal);
    const order = evictionOrder(blocks, uses, { nowMs: clock.now().getTime(), graceMs: limits.graceMs });
    let excessBytes = sumOf(blocks) - kvBudgetBytes * fillAgainTo;
    let freedBytes = 0;
    let at = 0;
    while (excessBytes > 0 && at < order.length) {
      signal.throwIfAborted();
      const batch: CachedBlock[] = [];
      for (let batchBytes = 0; batchBytes < excessBytes && batch.length < blocksAtOnce && at < order.length; at++) {
        const block = order[at];
        if (!block || inUse.isHeld(block.hash)) continue;
        batch.push(block);
        batchBytes += block.sizeBytes;
      }
      const freed = await inUse.delete(batch, (free) => cache.delete(free));
      excessBytes -= freed;
      freedBytes += freed;
    }
    return freedBytes;
  });
}

/** How windows and checkpoints use these blocks; a block that none of them names is absent. */
async function usesOf(
  store: Store,
  blocks: readonly CachedBlock[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, BlockUse>> {
  const present = new Set(blocks.map(({ hash }) => hash));
  const uses = new Map<string, BlockUse>();
  for (const { name, window } of await windowUses(store)) {
    signal.throwIfAborted();
    const isPinned = window === null || window.pinned;
    const lastUsedMs = window === null ? Infinity : Date.parse(lastUsedAt(window));
    for (const [index, { hash }] of (await blocksOf(store, name)).entries()) {
      if (!present.has(hash)) continue;
      const known = uses.get(hash);
      uses.set(hash, {
        isPinned: isPinned || known?.isPinned === true,
        lastUsedMs: Math.max(lastUsedMs, known?.lastUsedMs ?? -Infinity),
        index: Math.max(index, known?.index ?? 0),
      });
    }
  }
  for (const session of await store.sessions.ids()) {
    signal.throwIfAborted();
    const checkpoint = await store.checkpoints.get(session);
    if (!checkpoint) continue;
    const lastUsedMs = Date.parse(checkpoint.manifest.createdAt);
    for (const [index, { hash }] of checkpoint.kv.blocks.entries()) {
      const known = uses.get(hash);
      if (!present.has(hash) || (known && known.isCheckpoint !== true)) continue;
      // Of several checkpoints that share it, the newest one decides.
      uses.set(hash, {
        isPinned: false,
        isCheckpoint: true,
        lastUsedMs: Math.max(lastUsedMs, known?.lastUsedMs ?? lastUsedMs),
        index: Math.max(index, known?.index ?? 0),
      });
    }
  }
  return uses;
}

const sumOf = (blocks: readonly CachedBlock[]): number => blocks.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
