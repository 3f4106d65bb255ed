import type { MemoryStats } from '../../protocol/memory/stats.ts';
import type { Message } from '../../protocol/schemas/session.ts';
import type { FaultReason } from '../../protocol/memory/records.ts';
import { isAskedFor, thrashIndex } from './eviction/comeBacks.ts';
import type { SessionMemory } from './memories.ts';
import type { ConversationPages } from './pages/conversationPages.ts';
import { prefetchesIn } from './search/prefetch.ts';
import { sealedCount, type Layout } from './segments/layout.ts';

/** @param free tokens that the limit leaves; null: nobody knows. */
export function statsOf(
  memory: SessionMemory,
  { table }: ConversationPages,
  { messages, layout }: { readonly messages: readonly Message[]; readonly layout: Layout },
  free: number | null,
): MemoryStats {
  const { total: pages, used, uncounted, ...stats } = table.stats;
  const cameBack = memory.mutations.filter(({ what }) => what === 'fault_in');
  const because = (wanted: FaultReason): number => cameBack.filter(({ reason }) => reason === wanted).length;
  const standing = table
    .withTier('L0')
    .filter(({ kind }) => kind === 'summary' || kind === 'claim' || kind === 'index');
  const spent = standing.reduce((sum, { tokens }) => sum + (tokens ?? 0), 0);
  const { searches } = memory;
  return {
    pages,
    ...stats,
    tokensInPrompt: used,
    uncounted,
    tokensFree: free,
    evictions: sealedCount(layout),
    compressions: memory.segments.reduce((sum, { pages: had = [] }) => sum + had.length, 0),
    tokensSaved: layout.reduce((sum, { replacedTokens, tokens }) => sum + replacedTokens - (tokens ?? 0), 0),
    faults: cameBack.filter(isAskedFor).length,
    faultsByReason: {
      user_requested_recall: because('user_requested_recall'),
      resolve_reference: because('resolve_reference'),
      tool_prereq: because('tool_prereq'),
      speculative: because('speculative'),
    },
    searches: searches.length,
    recallSuccess:
      searches.length === 0 ? null : searches.filter((search) => search.pages.length > 0).length / searches.length,
    thrash: thrashIndex(memory),
    ...prefetchesIn(messages),
    effective: used === 0 ? null : (used - spent) / used,
  };
}
