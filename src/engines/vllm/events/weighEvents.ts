import { blockHashChain } from '../../../base/kvBlockHash.ts';
import type { KvContext, ReuseEvidence } from '../../../core/ports/engine.ts';
import type { HashProfile } from '../../../protocol/schemas/window.ts';
import type { AnnouncedReuse, ExpectedBlocks } from './blockLedger.ts';

/** The blocks of a context that a server can reuse: all but the block of the last token, which is always computed. */
export function reusableBlocks(context: KvContext, profile: HashProfile, blockTokens: number): ExpectedBlocks {
  const count = Math.floor((context.ids.length - 1) / blockTokens);
  const ids = context.ids.slice(0, count * blockTokens);
  return { hashes: blockHashChain(profile, ids, blockTokens, context.salt), ids, blockTokens, salt: context.salt };
}

export interface SentRequest {
  readonly triedBefore: boolean;
  readonly sentTokens: number;
  /** The server has looked for KV beyond its device, as far as its counters tell. */
  readonly asksConnector: boolean;
}

/**
 * The reuse of one request by the server's usage and its events together. Where they contradict each other, nothing was observed.
 *
 * - No event of this request: it did not arrive, or its events were lost. Then no count is about it.
 * - Everything published since the server's start is known: the blocks that were there before are those that were reused. A connector
 *   that announces nothing may have given more: then the events prove only that the request arrived.
 * - Else the events prove only that the request arrived, and the count is the usage's, as without events.
 */
export function weighEvents(
  reuse: ReuseEvidence,
  { announced, reused, isComplete, announcesTiers, hasGroups }: AnnouncedReuse,
  { hashes, ids, blockTokens }: ExpectedBlocks,
  { triedBefore, sentTokens, asksConnector }: SentRequest,
): ReuseEvidence {
  if (hashes.length === 0 || reuse.isFromElsewhere) return reuse;
  if (announced < hashes.length) return { ...reuse, ...nothing, isUnannounced: true };
  // The first try may have filled the cache that this one used.
  if (triedBefore || reuse.promptTokens !== sentTokens) return reuse;
  const byEvents = reused * blockTokens;
  const { cachedTokens } = reuse;
  // For a context of whole blocks, vLLM's tiers count the last one, too.
  const told = cachedTokens === null ? null : Math.min(cachedTokens, ids.length);
  // Without a count of its own, a limit is none.
  if (told === null && hasGroups) return reuse;
  // A server may lose blocks before it uses them: then it computes more than its events say, never less.
  const isWithin = told === null ? isComplete : told === byEvents || (told >= 0 && told < byEvents);
  if (isWithin) return { ...reuse, cachedTokens: cachedTokens ?? byEvents, cachedTokensFrom: 'events' };
  return isComplete && (announcesTiers || !asksConnector) ? { ...reuse, ...nothing, isContradicted: true } : reuse;
}

const nothing = { cachedTokens: null, cachedTokensFrom: 'none', tier: null } as const;
