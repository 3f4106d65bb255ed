import type { ProjectUri, SessionId } from '../../../protocol/ids.ts';
import type { MessageSearch } from '../../ports/search.ts';
import { dateIn, patternOf } from './datesIn.ts';
import { rankMessages, reach, type RankedMessage } from './rankMessages.ts';
import { stopWords } from './stopWords.ts';

/** Where to look: a session with all its branches, a project, or everywhere. */
export interface RecallScope {
  readonly session?: SessionId;
  readonly project?: ProjectUri;
}

/** All messages that have something to do with a question, best first. */
export async function recall(search: MessageSearch, text: string, scope: RecallScope): Promise<RankedMessage[]> {
  const date = dateIn(text);
  const occurrences = await search.occurrences({
    text,
    without: stopWords,
    dated: date ? patternOf(date) : undefined,
    ...scope,
    reach,
  });
  return rankMessages(occurrences, text, date);
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
