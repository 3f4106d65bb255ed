import type { BlockLocation, KvContext } from '../../core/ports/engine.ts';
import type { Sleep } from '../http/timing.ts';
import type { BlockStore } from './blockStore.ts';

const firstPauseMs = 10;
const longestPauseMs = 500;
const pauseGrowth = 1.6;
/** Pauses without progress before the engine is taken to have gone idle. */
const quietPauses = 4;

/**
 * Waits until every full block of a context has its file: a file tier writes them after the answer, the last one sometimes
 * only when the engine takes its next step. `nudge` makes it take one; it is called at most once.
 *
 * @param patienceMs how long nothing may appear before this gives up.
 * @returns where the blocks are at the end, complete or not.
 */
export async function waitForBlocks(
  store: BlockStore,
  context: KvContext,
  options: { readonly sleep: Sleep; readonly patienceMs: number; readonly nudge: () => Promise<void> },
  signal: AbortSignal,
): Promise<BlockLocation> {
  let location = await store.locate(context, signal);
  let missing = countMissing(location);
  let pauseMs = firstPauseMs;
  let quietMs = 0;
  let quietCount = 0;
  while (missing > 0 && quietMs < options.patienceMs) {
    await options.sleep(pauseMs, signal);
    quietMs += pauseMs;
    pauseMs = Math.min(pauseMs * pauseGrowth, longestPauseMs);
    location = await look(store, context, location, signal);
    const stillMissing = countMissing(location);
    if (stillMissing < missing) {
      missing = stillMissing;
      quietMs = 0;
      quietCount = 0;
    } else if (++quietCount === quietPauses) {
      await options.nudge();
    }
  }
  return location;
}

/** While no file is there, it is not known either how they are named; afterwards only the missing ones are looked for. */
async function look(
  store: BlockStore,
  context: KvContext,
  last: BlockLocation,
  signal: AbortSignal,
): Promise<BlockLocation> {
  if (!last.reachable || last.blocks.every(({ stat }) => stat === null)) return store.locate(context, signal);
  const absent = last.blocks.filter(({ stat }) => stat === null).map(({ hash }) => hash);
  const found = new Map((await store.restat(absent, signal)).map((block) => [block.hash, block]));
  return { reachable: true, blocks: last.blocks.map((block) => found.get(block.hash) ?? block) };
}

export const countMissing = (location: BlockLocation): number =>
  location.reachable ? location.blocks.filter(({ stat }) => stat === null).length : 0;
