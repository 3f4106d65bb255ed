import { formatBytes } from '../../base/format.ts';
import type { BlockLocation, KvContext } from '../../core/ports/engine.ts';
import type { Sleep } from '../http/timing.ts';
import type { BlockStore } from './blocks/blockStore.ts';

const firstPauseMs = 10;
const longestPauseMs = 500;
const pauseGrowth = 1.6;
/** Number of pauses without progress after which the engine counts as idle. */
const quietPauses = 4;

/**
 * Waits until every full block of a context has its file. A file tier writes after the answer, and sometimes writes the last file only when
 * the engine takes its next step; `nudge` makes the engine take one, and is called at most once.
 *
 * @param patienceMs time without a new file after which this gives up.
 * @returns the files of the blocks at the end, complete or not.
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

/** While there is no file, its naming is unknown, too; afterwards this looks only for the missing ones. */
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

const countMissing = (location: BlockLocation): number =>
  location.reachable ? location.blocks.filter(({ stat }) => stat === null).length : 0;

const tierPauseMs = 250;
const longestTierWaitMs = 10_000;

/**
 * The same for a tier whose files cannot be seen from here. Nudges the engine once, because the server counts written bytes with the
 * engine's next step, then waits until the server stops writing.
 *
 * @param options.before bytes that the tier had written before the request; null when it had shown none.
 * @returns the bytes that it wrote since; null when it shows no such tier.
 */
export async function waitForTier(
  options: {
    readonly before: number | null;
    readonly sleep: Sleep;
    readonly nudge: () => Promise<void>;
    readonly bytesWritten: () => Promise<number | null>;
  },
  signal: AbortSignal,
): Promise<number | null> {
  await options.nudge();
  let last = await options.bytesWritten();
  for (let waitedMs = 0; waitedMs < longestTierWaitMs; waitedMs += tierPauseMs) {
    await options.sleep(tierPauseMs, signal);
    const now = await options.bytesWritten();
    if (now === last) break;
    last = now;
  }
  return last === null ? null : last - (options.before ?? 0);
}

/**
 * The statement of `persist` about the durability of the KV.
 *
 * @param written the result of {@link waitForTier}; `not asked` where each question takes too long.
 */
export function persistNotes(location: BlockLocation, written: number | null | 'not asked'): string[] {
  if (!location.reachable) {
    const seen =
      written === 'not asked'
        ? 'the server takes long to answer, so what its tier wrote was not asked'
        : written === null
          ? 'the server shows no tier beyond its memory'
          : `the server's tier wrote ${written} bytes during the operation`;
    return [`Whether the KV is on disk was not seen (${location.why}); ${seen}.`];
  }
  const missing = countMissing(location);
  const states = stateNotes(location);
  if (missing === 0) return states;
  const all = location.blocks.length;
  return [
    ...states,
    missing === all
      ? `None of the ${all} blocks appeared on disk: the KV lasts only as long as the engine keeps it in memory.`
      : `${all - missing} of ${all} blocks are on disk; the rest lasts only as long as the engine keeps it in memory.`,
  ];
}

/** Why a window's KV is larger than its blocks. */
function stateNotes(location: BlockLocation): string[] {
  const blocks = location.reachable ? location.blocks : [];
  const besides = blocks.map(({ stat }) => stat?.besideBytes ?? 0).filter((bytes) => bytes > 0);
  if (besides.length === 0) return [];
  const bytes = besides.reduce((sum, one) => sum + one, 0);
  return [
    `The KV on disk has ${formatBytes(bytes)} of whole states beside ${besides.length} of its ${blocks.length} blocks: this model's state cannot be cut at a token, so one is stored where a turn or a freeze ended.`,
  ];
}
