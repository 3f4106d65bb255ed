import { noEvidence, type KvContext, type PersistEvidence, type ReuseEvidence } from '../../../core/ports/engine.ts';
import type { Link } from '../../http/link.ts';
import type { Sleep } from '../../http/timing.ts';
import { pieceTokens, type PinnedKv } from '../../lmcache/pinnedKv.ts';
import { readCanary } from '../chat/completion.ts';
import type { Completed } from '../probe.ts';
import { readMetrics } from '../serverIdentity.ts';
import { persistNotes, waitForBlocks, waitForTier } from '../waitForKv.ts';
import { isTested } from './belief.ts';
import { isFar, named, type KnownServer } from './knownServer.ts';
import { isLacking, noIdsTaken } from './lacking.ts';

export interface PersistParts {
  readonly link: Link;
  readonly server: KnownServer;
  /** Null where no LMCache stores the server's KV. */
  readonly pinned: PinnedKv | null;
  readonly sleep: Sleep;
  /** Time to wait for block files while none appears, in milliseconds. */
  readonly patienceMs: number;
  /** Receives whether none of the files appeared. */
  readonly onLocated: (storesNothing: boolean) => void;
  /** The observation of a request over this very context a moment ago; null when there was none. */
  readonly justAsked: (context: KvContext) => Completed | null;
  /** @param canary asks for log-probabilities, too. */
  readonly complete: (context: KvContext, canary: boolean) => Promise<Completed>;
  readonly elapsedMs: () => number;
}

/** Lets the server compute a context, waits until its KV is stored where that can be seen, and says how durable the KV is. */
export async function persistContext(
  { link, server, pinned, sleep, patienceMs, onLocated, justAsked, complete, elapsedMs }: PersistParts,
  context: KvContext,
  signal: AbortSignal,
): Promise<PersistEvidence> {
  // Every other server may refuse log-probabilities.
  const isOwn = server.identity.description.kind === 'embedded';
  let completed: Completed;
  try {
    completed = justAsked(context) ?? (await complete(context, isOwn));
  } catch (error) {
    if (!isLacking(server.identity, error)) throw error;
    return { reuse: noEvidence(context.ids.length), handle: null, notes: [`${noIdsTaken} It said: ${error.message}`] };
  }
  const { reuse, before, after } = completed;
  const others = reuse.promptTokens === context.ids.length ? [] : [otherTokens(reuse, context)];
  const nudge = async (): Promise<void> => {
    // In the embedded engine, one token would take the place of the context; the context itself is answered after its files are written.
    await complete(isOwn ? context : { ...context, ids: context.ids.slice(0, 1) }, false);
  };
  const options = { sleep, patienceMs, nudge };
  const location = await waitForBlocks(server.blocks, context, options, signal);
  if (location.reachable && location.blocks.length > 0) onLocated(location.blocks.every(({ stat }) => stat === null));
  const bytesWritten = async () => (await readMetrics(link, signal))?.tierBytesWritten ?? null;
  const written =
    location.reachable || !after?.offloads
      ? null
      : isFar(server)
        ? ('not asked' as const)
        : await waitForTier({ ...options, before: before?.tierBytesWritten ?? null, bytesWritten }, signal);
  const tested = { reuse, isTested: others.length === 0 && isTested(server, completed, elapsedMs()) };
  if (!pinned) {
    const answer = isOwn ? { canary: readCanary(completed.completion, link.label) } : {};
    return { ...tested, ...answer, handle: null, notes: [...others, ...persistNotes(location, written)] };
  }
  const { handle, notes } = await pinned.keep(named(server.identity, context), context.handle, signal);
  // For the canary alone: with pieces of another size it also depends on tokens that were not stored, and then it counts for less.
  const keptTokens = context.ids.length - (context.ids.length % pieceTokens);
  return {
    ...tested,
    handle,
    keptTokens,
    notes: [...others, ...(location.reachable ? persistNotes(location, written) : []), ...notes],
  };
}

const otherTokens = ({ promptTokens }: ReuseEvidence, { ids }: KvContext): string =>
  `The server counted ${promptTokens} tokens of the ${ids.length} that it was sent, so what it reuses of them was not observed.`;
