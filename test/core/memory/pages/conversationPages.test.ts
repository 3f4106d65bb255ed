import { describe, expect, test } from 'vitest';
import { ConversationPages } from '../../../../src/core/memory/pages/conversationPages.ts';
import { copiesIn } from '../../../../src/core/memory/pages/copiesIn.ts';
import { pageIdOf } from '../../../../src/core/memory/page.ts';
import { sealedCount, type Layout } from '../../../../src/core/memory/segments/layout.ts';
import type { MemorySearch, Mutation, Segment } from '../../../../src/protocol/memory/records.ts';
import type { Message } from '../../../../src/protocol/schemas/session.ts';
import { fc } from '../../../support/fc.ts';
import { messageId } from '../../../support/ids.ts';

const at = '2026-01-01T00:00:00.000Z';

/** Messages of a branch: those with a sequence of `from` or less are common to all branches. */
const conversation = (length: number, branch = '', from = 0): Message[] =>
  Array.from({ length }, (_, place) => {
    // A message is of one branch alone, which begins at one place.
    const own = place < from || branch === '' ? '' : `${branch}${from}`;
    return {
      id: messageId(`m${place + 1}${own}`),
      role: place % 2 === 0 ? 'user' : 'assistant',
      parentId: null,
      sequence: place + 1,
      content: { type: 'text', text: `text ${place + 1} ${own}` },
      createdAt: at,
    };
  });

/** Segments with so many messages each, one behind the other. */
const segments = (messages: readonly Message[], lengths: readonly number[]): Segment[] => {
  let sealed = 0;
  return lengths.flatMap((length) => {
    const [first, last] = [messages[sealed], messages[sealed + length - 1]];
    if (!first || !last) return [];
    sealed += length;
    return [
      {
        type: 'segment',
        // An id is of one segment alone.
        id: `s${100 * first.sequence + last.sequence}`,
        from: first.id,
        to: last.id,
        firstSequence: first.sequence,
        lastSequence: last.sequence,
        summary: 'They spoke.',
        summaryBy: 'extract',
        text: `Summary.\n${pageIdOf(first)} [user] "hint"`,
        tokens: 40,
        replacedTokens: 400,
        claims: [{ page: pageIdOf(last), text: 'We use heron.' }],
        pages: [{ page: pageIdOf(first), level: 3 }],
        at,
      } satisfies Segment,
    ];
  });
};

class Log {
  readonly mutations: Mutation[] = [];
  readonly searches: MemorySearch[] = [];
  readonly pinned = new Set<string>();
  readonly #segments: readonly Segment[];
  constructor(all: readonly Segment[] = []) {
    this.#segments = all;
  }
  segment(id: string): Segment | null {
    return this.#segments.find((each) => each.id === id) ?? null;
  }
}

const state = fc.record({
  length: fc.integer({ min: 0, max: 40 }),
  branch: fc.constantFrom('', 'b', 'c'),
  from: fc.integer({ min: 0, max: 40 }),
  sealed: fc.array(fc.integer({ min: 1, max: 6 }), { maxLength: 4 }),
  pinned: fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 3 }),
});

describe('the pages of a conversation', () => {
  test('S1-32 after any sequence of turns, branches, seals and pins they are what a table made at once has', () => {
    fc.assert(
      fc.property(fc.array(state, { minLength: 1, maxLength: 8 }), (states) => {
        const pages = new ConversationPages();
        for (const { length, branch, from, sealed, pinned } of states) {
          const messages = conversation(length, branch, from);
          const layout = segments(messages, sealed);
          const log = new Log(layout);
          for (const sequence of pinned) {
            const message = messages[sequence - 1];
            if (message) log.pinned.add(pageIdOf(message));
          }
          const source = { messages, layout, memory: log };
          const incremental = pages.of(source).table;
          const fresh = new ConversationPages().of(source).table;
          const byId = (table: typeof fresh) => Object.fromEntries(table.entries.map((page) => [page.id, page]));
          expect(byId(incremental)).toEqual(byId(fresh));
          expect(incremental.used).toBe(fresh.used);
          const whole = messages.filter((message) => pages.at(message.sequence)?.tier === 'L0');
          expect(whole).toEqual(messages.slice(sealedCount(layout)));
        }
      }),
    );
  });

  test('S1-21 a segment is a summary, its sentences and its index: their tokens are the segment’s, and stand for its pages', () => {
    const messages = conversation(12);
    const layout = segments(messages, [4, 2]);
    const { table } = new ConversationPages().of({ messages, layout, memory: new Log(layout) });
    const parts = table.withTier('L0').filter(({ id }) => id.startsWith('s104'));
    expect(parts.map(({ kind }) => kind).sort()).toEqual(['claim', 'index', 'summary']);
    expect(parts.reduce((sum, { tokens }) => sum + (tokens ?? 0), 0)).toBe(40);
    expect(table.inPromptAs(pageIdOf(messages[3]!)).map(({ page, level }) => [page.id, level])).toEqual([
      ['s104-c1', 1],
    ]);
    expect(table.inPromptAs(pageIdOf(messages[0]!)).map(({ page, level }) => [page.id, level])).toEqual([
      ['s104-index', 3],
    ]);
    expect(table.inPromptAs(pageIdOf(messages[1]!))).toEqual([]);
  });

  test('S1-47 a page that came back in a result which is itself too long for the prompt is there in part', () => {
    const [message] = conversation(1);
    const text = JSON.stringify({ page: { page_id: 'p1-aaaa', level: 0 } });
    const result = { type: 'tool-result', call: 'c', name: 'page_fault', text, outcome: 'done' } as const;
    const of = (content: Message['content']) => copiesIn({ ...message!, content });
    expect(of(result)).toEqual([{ page: 'p1-aaaa', level: 0 }]);
    expect(of({ ...result, excerpt: { head: 9, tail: 3 } })).toEqual([{ page: 'p1-aaaa', level: 1 }]);
  });

  test('S1-32 a branch without segments has no page of those that a fold of another covers', () => {
    const messages = conversation(12);
    const parts = segments(messages, [2, 2]);
    const fold = { ...segments(messages, [4])[0]!, covers: parts.map(({ id }) => id) };
    const memory = new Log([...parts, fold]);
    const pages = new ConversationPages();
    expect(pages.of({ messages, layout: [fold], memory }).table.stats.byKind.summary).toBe(3);
    expect(pages.of({ messages: messages.slice(0, 3), layout: [], memory }).table.stats.total).toBe(3);
  });

  test('S1-42 the messages of the last three turns and the last plan stay by themselves, and what a user pinned says so', () => {
    const messages = conversation(12).map((message): Message =>
      message.sequence === 2 ? { ...message, content: { type: 'plan', text: 'First this.' } } : message,
    );
    const log = new Log();
    log.pinned.add(pageIdOf(messages[2]!));
    log.pinned.add(pageIdOf(messages[11]!));
    const pages = new ConversationPages().of({ messages, layout: [], memory: log });
    expect(messages.map(({ sequence }) => pages.at(sequence)?.pinnedBy)).toEqual([
      null,
      'plan',
      'user',
      null,
      null,
      null,
      ...Array.from({ length: 5 }, () => 'recent'),
      'user',
    ]);
  });

  test('S1-40 a text that was asked for puts its page into L1, which has 100 pages at most', () => {
    const messages = conversation(240);
    const layout: Layout = segments(messages, [220]);
    const pages = new ConversationPages().of({ messages, layout, memory: new Log(layout) });
    for (const message of messages.slice(0, 101))
      pages.remember(pageIdOf(message), { level: 2, had: 2, text: 'short', tokens: 3 });
    pages.remember(pageIdOf(messages[239]!), { level: 0, had: 0, text: 'whole', tokens: 9 });
    expect(pages.at(1)?.tier).toBe('L2');
    expect(pages.at(3)?.tier).toBe('L1');
    expect(pages.at(240)?.tier).toBe('L0');
    expect(pages.table.withTier('L1')).toHaveLength(99);
    expect(pages.recall(pageIdOf(messages[50]!), 2)?.tokens).toBe(3);
    expect(pages.recall(pageIdOf(messages[50]!), 0)).toBeNull();
    expect(pages.of({ messages: conversation(239), layout, memory: new Log(layout) }).at(3)?.tier).toBe('L1');
  });

  test('S1-33 a name stands for the page of the branch that is asked about', () => {
    const pages = new ConversationPages();
    const log = new Log();
    const [one, other] = [conversation(8, 'b', 4), conversation(8, 'c', 4)];
    expect(pages.of({ messages: one, layout: [], memory: log }).named('p6')?.messageIds).toEqual([one[5]!.id]);
    expect(pages.of({ messages: other, layout: [], memory: log }).named('p6')?.messageIds).toEqual([other[5]!.id]);
    expect(pages.named(pageIdOf(one[5]!))).toBeNull();
    pages.addElsewhere(one[5]!, 'L2');
    expect(pages.named(pageIdOf(one[5]!))?.tier).toBe('L2');
  });
});
