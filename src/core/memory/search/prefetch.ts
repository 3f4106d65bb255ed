import type { Message } from '../../../protocol/schemas/session.ts';
import { MessageFold } from '../../prompt/messageFold.ts';
import { stopWords } from './stopWords.ts';

/**
 * How many times the second best the best must be worth. On conversations 1 to 5 of LoCoMo, a page at 1.3 is evidence for 78 of 100 questions
 * that have one, and 2 of 100 ordinary messages have one.
 */
export const prefetchMargin = 1.3;
/** Of one page. */
export const mostPrefetchTokens = 512;
/** Behind the date in the name of such a file. */
export const prefetchMark = ', prefetched';
/** A longer message is more than a question, in characters. */
const longestQuestion = 200;
/** Prefetches that say whether they are worth it, and the share of them that must have been used. */
const lastPrefetches = 10;
const fewestPrefetches = 5;
const leastUsed = 0.6;
/** Words of a page that its answer repeats, without having read them in the question. */
const wordsOfUse = 2;

interface Prefetches {
  /** Words of the page that came, until its answer is there. */
  waiting: Set<string> | null;
  count: number;
  /** For each that has its answer: whether it was used. */
  readonly outcomes: boolean[];
}

const histories = new MessageFold<Prefetches>(
  () => ({ waiting: null, count: 0, outcomes: [] }),
  (state, { role, content }) => {
    if (content.type === 'context') {
      const file = content.files.find(({ path }) => path.startsWith('recalled/') && path.endsWith(`${prefetchMark})`));
      if (file) {
        state.count++;
        state.waiting = wordsIn(file.text);
      }
    } else if (state.waiting && content.type === 'text' && role === 'user') {
      for (const word of wordsIn(content.text)) state.waiting.delete(word);
    } else if (state.waiting && content.type === 'text' && role === 'assistant') {
      const { waiting } = state;
      const repeated = [...wordsIn(content.text)].filter((word) => waiting.has(word)).length;
      state.outcomes.push(repeated >= Math.min(wordsOfUse, Math.max(1, waiting.size)));
      state.waiting = null;
    }
  },
);

/** What is derived from the conversation alone: how often pages were prefetched, and used. */
export function prefetchesIn(messages: readonly Message[]): {
  readonly prefetches: number;
  readonly prefetchesUsed: number;
} {
  const { count, outcomes } = histories.of(messages);
  return { prefetches: count, prefetchesUsed: outcomes.filter((isUsed) => isUsed).length };
}

/** Whether a page may come before this message: it is a question, and of the last prefetches in the conversation enough were used (S1-95). */
export function mayPrefetch(messages: readonly Message[], text: string): boolean {
  if (text.length > longestQuestion || !text.includes('?')) return false;
  const last = histories.of(messages).outcomes.slice(-lastPrefetches);
  const used = last.filter((isUsed) => isUsed).length;
  return last.length < fewestPrefetches || used >= leastUsed * last.length;
}

/** Whether a page has a word that the question has not. The same question, asked earlier, has none. */
export function addsTo(question: string, page: string): boolean {
  const asked = wordsIn(question);
  return [...wordsIn(page)].some((word) => !asked.has(word));
}

const wordsIn = (text: string): Set<string> =>
  new Set((text.toLowerCase().match(/[\p{L}\p{M}\p{N}]+/gu) ?? []).filter((word) => !stopWords.has(word)));
