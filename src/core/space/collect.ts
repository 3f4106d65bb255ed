import type { Clock } from '../../base/clock.ts';
import type { CachedBlock } from '../ports/blockCache.ts';
import type { Store } from '../ports/store.ts';
import { evictionOrder, type BlockUse } from './evictionOrder.ts';
import type { OtherFile } from './kvOfOtherEngines.ts';
import type { Space } from './space.ts';
import { kvOf, lastUsedAt, windowUses } from './windowUses.ts';

/** Part of the budget that is freed in addition, so that not every operation has to evict blocks. */
const fillAgainTo = 0.95;
/** Blocks deleted at a time: an operation that wants to hold blocks waits for no more than these. */
const blocksAtOnce = 256;

/** A file that the budget may evict: of the embedded engine, or of another one. */
type Evictable = (CachedBlock & { readonly engine?: never }) | OtherFile;

/**
 * When KV is over the budget, deletes blocks in the order of {@link evictionOrder}: the embedded engine's, and where the budget is one of all engines also
 * slot files and files of vLLM's tier that a window or a checkpoint names. They are only cache: a thaw computes missing blocks again, and says so.
 * An abort leaves the rest. It takes the lock of the space only once it knows which files there are: engines may be slow to say that.
 *
 * @returns the bytes that this freed.
 */
export async function collect(space: Space, clock: Clock, signal: AbortSignal): Promise<number> {
  const { cache, kvOfOtherEngines: others, inUse, limits, lock } = space;
  const { kvBudgetBytes, isBudgetOfAllEngines } = limits;
  if (kvBudgetBytes === null) return 0;
  const { blockBytes } = await cache.sizes(signal);
  // What is recorded is the most that can be there: only beyond the budget are engines asked.
  const recordedBytes = isBudgetOfAllEngines ? await others.recordedBytes(signal) : 0;
  if (blockBytes + recordedBytes <= kvBudgetBytes) return 0;
  const files = isBudgetOfAllEngines ? await others.list(signal) : [];
  return lock.run(() => inUse.collecting(() => evict(space, kvBudgetBytes, files, clock, signal)), signal);
}

async function evict(
  { store, cache, kvOfOtherEngines: others, inUse, limits }: Space,
  budgetBytes: number,
  files: readonly OtherFile[],
  clock: Clock,
  signal: AbortSignal,
): Promise<number> {
  const own = await cache.list(signal);
  if (sumOf(own) + sumOf(files) <= budgetBytes) return 0;
  const uses = await usesOf(store, new Set([...own, ...files].map(({ hash }) => hash)), signal);
  // The record that named it may have been deleted since, and its file with it.
  const blocks: Evictable[] = [...own, ...files.filter(({ hash }) => uses.has(hash))];
  const order = evictionOrder(blocks, uses, { nowMs: clock.now().getTime(), graceMs: limits.graceMs });
  let excessBytes = sumOf(blocks) - budgetBytes * fillAgainTo;
  const freedBytes = new Map<string | undefined, number>();
  let at = 0;
  while (excessBytes > 0 && at < order.length) {
    signal.throwIfAborted();
    const batch: Evictable[] = [];
    for (let batchBytes = 0; batchBytes < excessBytes && batch.length < blocksAtOnce && at < order.length; at++) {
      const block = order[at];
      if (!block || inUse.isHeld(block.hash) || (block.engine && others.isResting(block.engine))) continue;
      // Whether an engine deletes its files decides what else has to go.
      if (batch[0] && batch[0].engine !== block.engine) break;
      batch.push(block);
      batchBytes += block.sizeBytes;
    }
    const engine = batch[0]?.engine;
    const freed = await inUse.delete(batch, async (free) =>
      engine === undefined
        ? cache.delete(free.filter((block) => block.engine === undefined))
        : others.delete(
            engine,
            free.filter((block) => block.engine !== undefined),
            signal,
          ),
    );
    excessBytes -= freed;
    freedBytes.set(engine, (freedBytes.get(engine) ?? 0) + freed);
    // Nobody else pays for files that cannot be deleted.
    if (engine !== undefined && others.isResting(engine))
      excessBytes -= sumOf(blocks.filter((block) => block.engine === engine)) - (freedBytes.get(engine) ?? 0);
  }
  return [...freedBytes.values()].reduce((sum, bytes) => sum + bytes, 0);
}

/** How windows and checkpoints use these blocks, on whichever engine; a block that none of them names is absent. */
async function usesOf(
  store: Store,
  present: ReadonlySet<string>,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, BlockUse>> {
  const uses = new Map<string, BlockUse>();
  for (const { name, window } of await windowUses(store)) {
    signal.throwIfAborted();
    const isPinned = window === null || window.pinned;
    const lastUsedMs = window === null ? Infinity : Date.parse(lastUsedAt(window));
    const kv = await kvOf(store, name);
    for (const [index, { hash }] of (kv?.blocks ?? []).entries()) {
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

const sumOf = (blocks: readonly { readonly sizeBytes: number }[]): number =>
  blocks.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
