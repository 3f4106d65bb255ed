import type { Clock } from '../../base/clock.ts';
import type { CachedBlock } from '../ports/blockCache.ts';
import type { Store } from '../ports/store.ts';
import { Elsewhere, type ElsewhereFile } from './elsewhere.ts';
import { evictionOrder, type BlockUse } from './evictionOrder.ts';
import type { Space } from './space.ts';
import { kvOf, lastUsedAt, windowUses } from './windowUses.ts';

/** Part of the budget that is freed in addition, so that not every operation has to evict blocks. */
const fillAgainTo = 0.95;
/** Blocks deleted at a time: an operation that wants to hold blocks waits for no more than these. */
const blocksAtOnce = 256;

/** A file that the budget may evict: of the embedded engine, or of another one. */
type Evictable =
  | (CachedBlock & { readonly key?: never })
  | (ElsewhereFile & { readonly key: string; readonly namespace?: never });

/**
 * When the KV of all engines is over the budget, deletes blocks in the order of {@link evictionOrder}: the embedded engine's, slot files, and files of
 * vLLM's tier that a window or a checkpoint names. They are only cache: a thaw computes missing blocks again, and says so. An abort leaves the rest.
 *
 * @returns the bytes that this freed.
 */
export async function collect(space: Space, clock: Clock, signal: AbortSignal): Promise<number> {
  const { cache, elsewhere, inUse, limits } = space;
  const { kvBudgetBytes } = limits;
  if (kvBudgetBytes === null) return 0;
  const { blockBytes } = await cache.sizes(signal);
  // What is recorded is the most that can be there: only beyond the budget are engines asked.
  if (blockBytes + (await elsewhere.recordedBytes(signal)) <= kvBudgetBytes) return 0;
  return inUse.collecting(async () => {
    const others = (await elsewhere.list(signal)).map((file) => ({ ...file, key: Elsewhere.key(file) }));
    const blocks: Evictable[] = [...(await cache.list(signal)), ...others];
    if (sumOf(blocks) <= kvBudgetBytes) return 0;
    const uses = await usesOf(space.store, new Set(blocks.map(({ key, hash }) => key ?? hash)), signal);
    const order = evictionOrder(blocks, uses, { nowMs: clock.now().getTime(), graceMs: limits.graceMs });
    let excessBytes = sumOf(blocks) - kvBudgetBytes * fillAgainTo;
    let freedBytes = 0;
    let at = 0;
    while (excessBytes > 0 && at < order.length) {
      signal.throwIfAborted();
      const batch: Evictable[] = [];
      for (let batchBytes = 0; batchBytes < excessBytes && batch.length < blocksAtOnce && at < order.length; at++) {
        const block = order[at];
        if (!block || inUse.isHeld(block.hash)) continue;
        batch.push(block);
        batchBytes += block.sizeBytes;
      }
      const freed = await inUse.delete(batch, (free) => deleteAll(space, free, signal));
      excessBytes -= freed;
      freedBytes += freed;
    }
    return freedBytes;
  });
}

async function deleteAll(
  { cache, elsewhere }: Space,
  blocks: readonly Evictable[],
  signal: AbortSignal,
): Promise<number> {
  const [own, others]: [CachedBlock[], ElsewhereFile[]] = [[], []];
  for (const block of blocks) {
    if (block.key === undefined) own.push(block);
    else others.push(block);
  }
  return (await cache.delete(own)) + (others.length === 0 ? 0 : await elsewhere.delete(others, signal));
}

/** How windows and checkpoints use the blocks of these keys; a block that none of them names is absent. */
async function usesOf(
  store: Store,
  present: ReadonlySet<string>,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, BlockUse>> {
  const uses = new Map<string, BlockUse>();
  const keyIn =
    (engine: string | undefined, kind: string) =>
    (hash: string): string =>
      kind === 'embedded' || engine === undefined ? hash : Elsewhere.key({ engine, hash });
  for (const { name, window } of await windowUses(store)) {
    signal.throwIfAborted();
    const isPinned = window === null || window.pinned;
    const lastUsedMs = window === null ? Infinity : Date.parse(lastUsedAt(window));
    const kv = await kvOf(store, name);
    const keyOf = keyIn(window?.engine, kv?.engineKind ?? '');
    for (const [index, { hash }] of (kv?.blocks ?? []).entries()) {
      // Of a window that cannot be read, the engine is not known.
      const keys = window === null ? [...present].filter((key) => key.split('\0').at(-1) === hash) : [keyOf(hash)];
      for (const key of keys) {
        if (!present.has(key)) continue;
        const known = uses.get(key);
        uses.set(key, {
          isPinned: isPinned || known?.isPinned === true,
          lastUsedMs: Math.max(lastUsedMs, known?.lastUsedMs ?? -Infinity),
          index: Math.max(index, known?.index ?? 0),
        });
      }
    }
  }
  for (const session of await store.sessions.ids()) {
    signal.throwIfAborted();
    const checkpoint = await store.checkpoints.get(session);
    if (!checkpoint) continue;
    const lastUsedMs = Date.parse(checkpoint.manifest.createdAt);
    const keyOf = keyIn(checkpoint.manifest.engine, checkpoint.kv.engineKind);
    for (const [index, { hash }] of checkpoint.kv.blocks.entries()) {
      const key = keyOf(hash);
      const known = uses.get(key);
      if (!present.has(key) || (known && known.isCheckpoint !== true)) continue;
      // Of several checkpoints that share it, the newest one decides.
      uses.set(key, {
        isPinned: false,
        isCheckpoint: true,
        lastUsedMs: Math.max(lastUsedMs, known?.lastUsedMs ?? lastUsedMs),
        index: Math.max(index, known?.index ?? 0),
      });
    }
  }
  return uses;
}

const sumOf = (blocks: readonly Evictable[]): number => blocks.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
