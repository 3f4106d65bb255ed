import type { MemoryPage } from '../../../protocol/memory/page.ts';
import type { Message } from '../../../protocol/schemas/session.ts';
import { isTurnStart, recentTurns } from '../pages/conversationPages.ts';
import type { Budget } from '../segments/budget.ts';
import type { EvictionPolicy, Pressure } from './policy.ts';

/** A message behind the segments, as a page. */
export interface Resident {
  readonly message: Message;
  readonly page: MemoryPage;
  readonly tokens: number;
  /** It stays whole whatever happens: a user pinned it, or the model works on it. */
  readonly isPinned: boolean;
  /** It stays whole as far as there is room: it is the plan, came back lately, or somebody said that it matters. */
  readonly isProtected: boolean;
  readonly thrash: number;
}

interface Choosing extends Pick<Pressure, 'reused' | 'lostInFront'> {
  readonly policy: EvictionPolicy;
  readonly residents: readonly Resident[];
  /** Messages of the request that the conversation does not have yet; none behind results of tools. */
  readonly added: readonly Message[];
  readonly budget: Budget;
  /** Tokens of the request's messages now. */
  readonly used: number;
  /** What a segment takes beside the pages that stay whole in it. */
  readonly segmentTokens: number;
}

/** What leaves. */
export interface Batch {
  /** The first so many messages leave. */
  readonly cut: number;
  /** Those of them that stay in the segment, whole or shortened, as far as `heldTokens` allow: best first. */
  readonly held: readonly Resident[];
  readonly heldTokens: number;
}

const usualHeldShare = 0.25;

/**
 * Chooses what leaves: a run from the beginning that ends where a turn ends. Each batch costs the computation of what stays behind it, so that
 * it should free as much as the policy lets; where that is not enough, later turns leave too, until the target is met, and at last what is recent.
 *
 * @returns null where nothing can leave.
 */
export function chooseBatch(choosing: Choosing): Batch | null {
  const { policy, residents, added, budget, used, segmentTokens, reused, lostInFront } = choosing;
  const pressure: Pressure = {
    used,
    evictAt: budget.evictAt,
    target: budget.target,
    sequence: residents.at(-1)?.message.sequence ?? 0,
    reused,
    lostInFront,
  };
  const starts = residents.flatMap(({ message }, at) => (isTurnStart(message) ? [at] : []));
  const ends = [...starts.filter((at) => at > 0), ...(isWholeTurn(residents, added) ? [residents.length] : [])];
  // A turn of many calls may be longer than the prompt by itself.
  const roundEnds = added.length === 0 ? roundEndsOf(residents, starts.at(-1) ?? -1) : [];
  const tokens = prefixSums(residents.map((each) => each.tokens));
  const pinned = prefixSums(residents.map((each) => (each.isPinned ? each.tokens : 0)));
  const total = tokens.at(-1) ?? 0;
  const freed = (at: number): number => (tokens[at] ?? 0) - (pinned[at] ?? 0) - segmentTokens;
  const after = (at: number): number => used - freed(at);
  const isRecent = (at: number): boolean => starts.filter((start) => start >= at).length < recentTurns;
  const heldShare = policy.heldShare ?? usualHeldShare;
  const wanted = policy.keptTokens?.(pressure);
  const meets = (at: number): boolean => freed(at) > 0 && after(at) <= budget.target;
  const cut =
    (wanted === undefined
      ? ends.find((at) => !isRecent(at) && freed(at) > 0 && used - freed(at) * (1 - heldShare) <= budget.target)
      : ends.findLast((at) => !isRecent(at) && total - (tokens[at] ?? 0) >= wanted && meets(at))) ??
    ends.find(meets) ??
    ends.findLast((at) => freed(at) > 0 && after(at) <= budget.room) ??
    roundEnds.find(meets) ??
    roundEnds.findLast((at) => freed(at) > 0 && after(at) <= budget.room);
  if (cut === undefined) return null;
  const free = residents.slice(0, cut).filter((each) => !each.isPinned);
  const scoreOf = ({ page, tokens: own, thrash }: Resident): number => {
    const position = (page.sequence - (residents[0]?.page.sequence ?? 0)) / Math.max(1, residents.length - 1);
    return policy.score({ page, tokens: own, position, thrash }, pressure);
  };
  const scored = free
    .filter((each) => !each.isProtected)
    .map((each) => ({ each, score: scoreOf(each) }))
    .sort((a, b) => b.score - a.score || b.each.page.sequence - a.each.page.sequence)
    .map(({ each }) => each);
  const spare = Math.max(0, budget.target - after(cut));
  const most = Math.floor(Math.min(spare, freed(cut) * Math.max(heldShare, protectedShare)));
  const kept = free.filter((each) => each.isProtected);
  return { cut, held: heldShare > 0 ? [...kept, ...scored] : kept, heldTokens: most };
}

/** Of what leaves, for pages that came back lately and the plan. */
const protectedShare = 0.1;

/** Places within the turn under way where each call has its result: the next answer stands behind them. */
const roundEndsOf = (residents: readonly Resident[], begun: number): number[] =>
  residents.flatMap(({ message }, at) => (message.role === 'assistant' && at > begun + 1 ? [at] : []));

/** Nothing follows that belongs to the last message. Where a turn begins behind it, each of its calls has a result. */
function isWholeTurn(residents: readonly Resident[], [next]: readonly Message[]): boolean {
  if (residents.length > 0 && next && isTurnStart(next)) return true;
  const last = residents.at(-1)?.message;
  return last?.role === 'assistant' && !('calls' in last.content);
}

/** At each place, the sum of what stands before it. */
function prefixSums(counts: readonly number[]): number[] {
  let sum = 0;
  return [0, ...counts.map((count) => (sum += count))];
}
