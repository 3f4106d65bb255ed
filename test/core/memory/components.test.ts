import { describe, expect, test } from 'vitest';
import { compressed, builtInCompressors } from '../../../src/core/memory/compress.ts';
import { chooseBatch } from '../../../src/core/memory/eviction/chooseBatch.ts';
import { builtInPolicies } from '../../../src/core/memory/eviction/policies.ts';
import { pageIdOf, pageOf } from '../../../src/core/memory/page.ts';
import { ConversationPages } from '../../../src/core/memory/pages/conversationPages.ts';
import { budgetOf } from '../../../src/core/memory/segments/budget.ts';
import { layoutOf, shownOf } from '../../../src/core/memory/segments/layout.ts';
import { guardCall } from '../../../src/core/memory/toolState/guards.ts';
import { procedureLines } from '../../../src/core/memory/toolState/procedures.ts';
import { callsOf } from '../../../src/core/memory/toolState/toolHistory.ts';
import { runGuarded } from '../../../src/core/memory/toolState/toolState.ts';
import { memoryPageSchema } from '../../../src/protocol/memory/page.ts';
import type { Segment } from '../../../src/protocol/memory/records.ts';
import { memoryStatsSchema } from '../../../src/protocol/memory/stats.ts';
import {
  messageRoles,
  messageSchema,
  type Message,
  type MessageContent,
} from '../../../src/protocol/schemas/session.ts';
import { fc } from '../../support/fc.ts';
import { importsOf, sourceFiles } from '../../support/sourceGraph.ts';
import { aMessage, aSession } from '../../store/builders.ts';
import { coreFixture, never } from '../coreFixture.ts';

const said = (count: number): Message[] =>
  Array.from({ length: count }, (_, at) => ({
    ...aMessage(`m${at + 1}`, at + 1, `We decided: item ${at + 1}.`),
    role: at % 2 === 0 ? ('user' as const) : ('assistant' as const),
  }));

const tool = {
  name: 'read',
  description: '',
  inputSchema: {},
  readsOnly: true,
  isRepeatable: true,
  isDestructive: false,
};
const called = (outcome: 'done' | 'failed', given: object, at: number): Message[] => {
  const call = { id: `c${at}`, name: 'read', arguments: JSON.stringify(given) };
  const contents: MessageContent[] = [
    { type: 'tool-calls', text: '', calls: [call] },
    { type: 'tool-result', call: call.id, name: 'read', text: outcome, outcome },
  ];
  return contents.map((content, place) => ({ ...aMessage(`t${at}${place}`, at + place), role: 'tool', content }));
};

describe('a component of the memory works by itself', () => {
  test('S1-06 segments: a conversation and what was recorded of it give what the model is shown', () => {
    const messages = said(6);
    const segment: Segment = {
      type: 'segment',
      id: 's1',
      from: messages[0]!.id,
      to: messages[3]!.id,
      firstSequence: 1,
      lastSequence: 4,
      summary: 'Four items.',
      summaryBy: 'extract',
      text: '[memory s1]',
      tokens: 5,
      replacedTokens: 40,
      at: '2026-11-20T10:00:00.000Z',
    };
    const layout = layoutOf(messages, [segment], null);
    expect(shownOf(messages, layout).map(({ id }) => id)).toEqual(['s1', 's1-read', 'm5', 'm6']);
  });

  test('S1-06 pages: a table of them needs no session, no server and no store', () => {
    const messages = said(4);
    const memory = { segment: () => null, pinned: new Set([pageIdOf(messages[0]!)]), mutations: [], searches: [] };
    const { table } = new ConversationPages().of({ messages, layout: [], memory });
    expect(table.stats).toMatchObject({ total: 4, byTier: { L0: 4 } });
    expect(compressed(builtInCompressors, messages[0]!, 'text', 3).level).toBe(0);
  });

  test('S1-06 eviction: pages, a budget and a policy give a batch', () => {
    const residents = said(12).map((message) => ({
      message,
      page: pageOf(message, 500),
      tokens: 500,
      isPinned: false,
      isProtected: false,
      thrash: 0,
    }));
    const budget = budgetOf(6_000, 200, 0);
    const choosing = { policy: builtInPolicies[0], residents, added: [], budget, used: 6_000, segmentTokens: 100 };
    expect(chooseBatch({ ...choosing, reused: 0.9, lostInFront: 0 })?.cut).toBeGreaterThan(0);
  });

  test('S1-06 tools: guards, bindings and results of a list of messages', async () => {
    const messages = [aMessage('q', 1, 'Read a.'), ...called('done', { path: 'a' }, 2)];
    const call = { id: 'c9', name: 'read', arguments: '{"path":"a"}' };
    const verdict = guardCall({
      call: { ...call, readsOnly: true },
      calls: callsOf(messages),
      messages,
      readsOnly: () => true,
    });
    expect(verdict.verdict).toBe('allow');
    const session = aSession({ settings: { memory: { enableVm: true } } });
    const answer = await runGuarded(
      { session, messages },
      tool,
      { call, given: { path: 'a' } },
      new Map([['read', tool]]),
      () => Promise.reject(new Error('It ran again.')),
    );
    expect(answer.text).toContain('[The result of call-0001, which was the same call.]');
  });

  test('S1-06 procedures: what worked before, of a list of calls', () => {
    const calls = callsOf([
      aMessage('q', 1),
      ...called('failed', { path: 'a' }, 2),
      ...called('done', { path: '/a' }, 4),
    ]);
    expect(procedureLines(calls, 'read')[0]).toBe(
      'Fixed before: call-0002 worked after call-0001 failed (changed path).',
    );
  });

  test('S1-06 the state of tools and the pages of a conversation do not import each other', () => {
    const between = sourceFiles()
      .filter((file) => file.startsWith('core/memory/'))
      .flatMap((file) => importsOf(file))
      .filter(({ isOwn }) => isOwn)
      .filter(({ from, to }) => {
        const isOfTools = (file: string): boolean => file.startsWith('core/memory/toolState/');
        const isPart = /^core\/memory\/(?:segments|pages|eviction|search|toolState)\//;
        return isPart.test(from) && isPart.test(to) && isOfTools(from) !== isOfTools(to);
      });
    expect(between).toEqual([]);
  });
});

describe('words and figures of the memory', () => {
  test('S1-20 a message says who speaks and what it is, and no other word is one', () => {
    expect([...messageRoles].sort()).toEqual(['assistant', 'system', 'tool', 'user']);
    const message = aMessage('m1', 1);
    expect(messageSchema.safeParse(message).success).toBe(true);
    expect(messageSchema.safeParse({ ...message, role: 'llm' }).success).toBe(false);
    expect(messageSchema.safeParse({ ...message, content: { type: 'event' } }).success).toBe(false);
  });

  test('S1-31 an entry of the table has no text, and what it is says how soon it leaves', () => {
    expect(Object.keys(memoryPageSchema.shape)).not.toEqual(
      expect.arrayContaining([expect.stringMatching(/text|content/)]),
    );
    const pressure = { used: 1, evictAt: 1, target: 1, sequence: 1, reused: null, lostInFront: 0 };
    const policy = builtInPolicies[1];
    const worth = (['tool', 'assistant', 'user'] as const).map((role) => {
      const page = pageOf({ ...aMessage('m1', 1), role }, 10);
      return policy.score({ page, tokens: 10, position: 0.5, thrash: 0 }, pressure);
    });
    expect(worth).toEqual([...worth].sort((a, b) => a - b));
    expect(new Set(worth).size).toBe(3);
  });

  test('S1-40 S1-66 what messages may take is what the limit leaves beside the answer, the tools and the reserve', () => {
    expect(budgetOf(32_000, 400, 1_000)).toEqual({
      limit: 32_000,
      answer: 400,
      room: 32_000 - 400 - 1_000 - 8,
      evictAt: Math.floor(28_000 * 0.85),
      target: Math.floor(28_000 * 0.7),
    });
    const tokens = fc.integer({ min: 1, max: 200_000 });
    fc.assert(
      fc.property(tokens, tokens, tokens, (limit, wanted, tools) => {
        const { answer, room, evictAt, target } = budgetOf(limit, wanted, tools);
        if (room > 0) expect(answer + room + tools).toBeLessThanOrEqual(limit);
        expect(target).toBeLessThanOrEqual(evictAt);
        expect(evictAt).toBeLessThanOrEqual(room);
      }),
    );
  });

  test('S1-71 figures and history of a session are typed: what came back, what was found, and each message as it was said', async () => {
    const { cwm, engine } = await coreFixture();
    engine.model = { ...engine.model, maxModelLen: 4096 };
    await cwm.createSession({ id: 's', memory: { enableVm: true } });
    const say = (text: string) => cwm.send({ session: 's', text, maxTokens: 32 }, never());
    for (let turn = 0; turn < 6; turn++) await say(`Turn ${turn}: ${'filler '.repeat(100)}`);
    const call = (name: string, given: object) => [{ id: name, name, arguments: JSON.stringify(given) }];
    for (const calls of [call('search_pages', { query: 'Turn 0' }), call('page_fault', { page_id: 'p1' })]) {
      engine.toolCalls = [calls];
      await say('What was it?');
    }
    const { stats } = await cwm.memoryState({ session: 's' });
    expect(memoryStatsSchema.parse(stats)).toEqual(stats);
    expect(stats).toMatchObject({ faults: 1, searches: 1, recallSuccess: 1, faultsByReason: { resolve_reference: 1 } });
    expect(stats.evictions).toBeGreaterThan(0);
    expect(stats.tokensSaved).toBeGreaterThan(0);
    expect(stats.tlbMisses).toBeGreaterThan(0);
    const { items } = await cwm.listMessages({ session: 's' });
    expect(items.map((item) => messageSchema.safeParse(item).success)).not.toContain(false);
    expect(items[0]?.content).toMatchObject({ type: 'text', text: `Turn 0: ${'filler '.repeat(100)}` });
  });
});
