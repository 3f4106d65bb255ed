import type { ProjectUri, SessionId } from '../../../protocol/ids.ts';
import type { FoundPlace, MessageSearch, NearMessage } from '../../ports/search.ts';
import { dateIn, patternOf } from './datesIn.ts';
import { rankMessages, reach } from './rankMessages.ts';
import { stopWords } from './stopWords.ts';

/** Where to look: a session with all its branches, a project, or everywhere. */
export interface RecallScope {
  readonly session?: SessionId;
  readonly project?: ProjectUri;
}

/** A message with what it is worth for a question. */
export interface Recalled {
  readonly found: FoundPlace;
  /** Above 0; only their order means something. */
  readonly score: number;
}

/**
 * All messages that have something to do with a question, best first.
 *
 * @param near those whose meaning is nearest, best first. Default: only words count.
 */
export async function recall(
  search: Pick<MessageSearch, 'occurrences'>,
  text: string,
  scope: RecallScope,
  near: readonly NearMessage[] = [],
): Promise<readonly Recalled[]> {
  const date = dateIn(text);
  const occurrences = await search.occurrences({
    text,
    without: stopWords,
    dated: date ? patternOf(date) : undefined,
    ...scope,
    reach,
  });
  return fused(rankMessages(occurrences, text, date), near);
}

// Chosen on conversations 1 to 5 of LoCoMo with vectors of all-MiniLM-L6-v2 (`npm run bench -- RECALL`).
/** How much the first places of a ranking are worth more than those behind them: the higher, the less. */
const flatness = 30;
/** What a place by meaning is worth beside the same place by words. */
const meaningWeight = 0.5;

/** Two rankings as one: what stands in front in either is worth most (reciprocal rank fusion). */
function fused(byWords: readonly Recalled[], byMeaning: readonly NearMessage[]): readonly Recalled[] {
  if (byMeaning.length === 0) return byWords;
  const all = new Map<string, { readonly found: FoundPlace; score: number }>();
  const add = (found: FoundPlace, worth: number): void => {
    const known = all.get(found.message) ?? { found, score: 0 };
    known.score += worth;
    all.set(found.message, known);
  };
  for (const [at, { found }] of byWords.entries()) add(found, 1 / (flatness + at + 1));
  for (const [at, found] of byMeaning.entries()) add(found, meaningWeight / (flatness + at + 1));
  return [...all.values()].sort((a, b) => b.score - a.score);
}

/**
 * The best of `ranked` whose texts fit in `budget` tokens together. One that does not fit leaves its room to the next.
 *
 * @param tokensOf of one with what stands around it, given those that are in already.
 */
export function fitting<T>(
  ranked: readonly T[],
  budget: number,
  tokensOf: (item: T, taken: readonly T[]) => number,
): T[] {
  const taken: T[] = [];
  let left = budget;
  for (const item of ranked) {
    if (left <= 0) break;
    const tokens = tokensOf(item, taken);
    if (tokens > left) continue;
    left -= tokens;
    taken.push(item);
  }
  return taken;
}
