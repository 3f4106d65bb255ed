import { expect, test } from 'vitest';
import { ConversationPages } from '../../../src/core/memory/pages/conversationPages.ts';
import { countPages } from '../../../src/core/memory/pages/countPages.ts';
import { knownCount } from '../../../src/core/memory/segments/count.ts';
import type { ContextTokens, Message } from '../../../src/protocol/schemas/session.ts';

const never = new AbortController().signal;
const counted = 77;

const message = (role: Message['role'], context?: Partial<ContextTokens>): Message =>
  ({
    role,
    content: { type: 'text', text: role },
    ...(context && { context: { source: 'engine', segments: [], ...context } }),
  }) as unknown as Message;

/** @returns the counts, and how many of them the engine was asked for. */
async function countsOf(...given: readonly Message[]): Promise<{ counts: readonly number[]; asked: number }> {
  const messages = given.map((each, at) => ({ ...each, id: `m${at}`, sequence: at + 1 })) as unknown as Message[];
  const memory = { segment: () => null, pinned: new Set<string>(), mutations: [], searches: [] };
  const pages = new ConversationPages().of({ messages, layout: [], memory });
  let asked = 0;
  const tokenize = async (): Promise<number[]> => {
    asked++;
    return Array.from({ length: counted }, () => 1);
  };
  const counts = await countPages({ tokenize }, pages, messages, never);
  expect(pages.table.used).toBe(counts.reduce((sum, count) => sum + count, 0));
  return { counts, asked };
}

test('the ids of an answer tell its own tokens and those of the question before it', async () => {
  const first = message('assistant', { promptCount: 10, count: 30 });
  const second = message('assistant', { promptCount: 45, count: 50 });
  expect(await countsOf(message('user'), first, message('user'), second)).toEqual({
    counts: [counted, 20, 15, 5],
    asked: 1,
  });
});

test('files that the model only read have all the tokens that they added, not none', async () => {
  const answer = message('assistant', { promptCount: 10, count: 30 });
  const files = message('user', { promptCount: 430, count: 430 });
  expect(knownCount([files], 0)).toBeNull();
  expect(await countsOf(answer, files)).toEqual({ counts: [20, 400], asked: 0 });
});

test('what stands behind other summaries, or without ids, is counted by the engine', async () => {
  const before = message('assistant', { promptCount: 10, count: 30 });
  const files = message('user', { promptCount: 430, count: 430, segments: ['s1'] });
  const cut = message('assistant', { promptCount: 430, count: 440, cut: { countedTokens: 5, sentTokens: 9 } });
  expect(await countsOf(before, files, cut)).toEqual({ counts: [20, counted, counted], asked: 2 });
});
