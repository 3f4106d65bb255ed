import type { MessageOccurrences, Occurrences } from '../../ports/search.ts';
import type { NamedDate } from './datesIn.ts';

// The weights were chosen on conversations 1 to 5 of LoCoMo (`npm run bench -- RECALL`) and hold on 6 to 10. Each may be off by a third
// before the results change by a hundredth.
/** How fast a repeated word stops counting. */
const saturation = 1.2;
/** How much a long message's words count less, 0 to 1. */
const lengthWeight = 0.5;
/** The share of a score that comes from the message itself; the rest is said around it. */
const ownShare = 0.2;
/** What a word counts one message further away. */
const decay = 0.7;
/** How far away words count. */
export const reach = 5;
/** Of messages by somebody whom the query names. */
const speakerWeight = 2;
/** What lies further apart belongs to different talks. */
const talkGapMs = 6 * 3_600_000;

/** A message with what it is worth for a query. */
export interface RankedMessage {
  readonly found: MessageOccurrences;
  /** Above 0; only their order means something. */
  readonly score: number;
}

/**
 * Messages, best first: BM25 of each, with words of its neighbours, since an answer seldom repeats the words of its question. A name in the
 * query chooses who speaks instead of being looked for, and a date chooses when.
 */
export function rankMessages(occurrences: Occurrences, query: string, date: NamedDate | null): RankedMessage[] {
  const { words, shares, messages, averageLength, found } = occurrences;
  const named = new Set(query.toLowerCase().match(/[\p{L}\p{M}\p{N}]+/gu));
  const speakers = speakersIn(found);
  const spoken = [...speakers].filter((speaker) => named.has(speaker));
  const talks = talksOf(found);
  const scores = new Float64Array(found.length);
  const own = new Float64Array(found.length);
  const add = (share: number, countOf: (message: MessageOccurrences) => number): void => {
    const rarity = Math.log(1 + (messages * (1 - share) + 0.5) / (messages * share + 0.5));
    const around = new Float64Array(found.length);
    for (const [at, message] of found.entries()) {
      const count = countOf(message);
      if (count === 0) continue;
      const dampened = saturation * (1 - lengthWeight + (lengthWeight * message.length) / Math.max(1, averageLength));
      own[at]! += (rarity * count * (saturation + 1)) / (count + dampened);
      for (const neighbour of talks[at]!)
        around[neighbour]! += count * decay ** Math.abs(found[neighbour]!.sequence - message.sequence);
    }
    for (const [at, count] of around.entries())
      scores[at]! += (rarity * count * (saturation + 1)) / (count + saturation);
  };
  for (const [at, word] of words.entries()) if (!speakers.has(word)) add(shares[at]!, ({ counts }) => counts[at]!);
  for (const isThen of date ? testsOf(date) : []) {
    const share = found.filter(({ createdAt }) => isThen(createdAt)).length / Math.max(1, messages);
    add(share, ({ createdAt }) => (isThen(createdAt) ? 1 : 0));
  }
  return found
    .map((message, at) => {
      const isNamed = spoken.length === 1 && (message.speaker ?? message.role) === spoken[0];
      const score = (ownShare * own[at]! + (1 - ownShare) * scores[at]!) * (isNamed ? speakerWeight : 1);
      return { found: message, score };
    })
    .filter(({ score }) => score > 0)
    .sort((a, b) => b.score - a.score || (a.found.createdAt < b.found.createdAt ? 1 : -1));
}

/** Who speaks: the roles, and names in front of at least a tenth of the messages. */
function speakersIn(found: readonly MessageOccurrences[]): Set<string> {
  const counts = new Map<string, number>();
  for (const { speaker } of found) if (speaker !== null) counts.set(speaker, (counts.get(speaker) ?? 0) + 1);
  const names = [...counts].filter(([, count]) => count >= Math.max(2, found.length / 10)).map(([name]) => name);
  return new Set(['user', 'assistant', ...names]);
}

/** For each message: places of those that belong to the same talk and are at most {@link reach} away, itself included. */
function talksOf(found: readonly MessageOccurrences[]): number[][] {
  const times = found.map(({ createdAt }) => Date.parse(createdAt));
  const isNear = (a: number, b: number): boolean =>
    found[a]!.session === found[b]!.session &&
    Math.abs(found[a]!.sequence - found[b]!.sequence) <= reach &&
    Math.abs(times[a]! - times[b]!) < talkGapMs;
  return found.map((_, at) => {
    const near = [at];
    // They are in the order of their conversations, so that the first one that is too far away ends each direction.
    for (let other = at - 1; other >= 0 && isNear(at, other); other--) near.push(other);
    for (let other = at + 1; other < found.length && isNear(at, other); other++) near.push(other);
    return near;
  });
}

/** One test for each part of a date. */
function testsOf({ year, month, day }: NamedDate): ((createdAt: string) => boolean)[] {
  return [
    ...(year === undefined ? [] : [(at: string) => Number(at.slice(0, 4)) === year]),
    ...(month === undefined ? [] : [(at: string) => Number(at.slice(5, 7)) === month]),
    ...(day === undefined ? [] : [(at: string) => Number(at.slice(8, 10)) === day]),
  ];
}
