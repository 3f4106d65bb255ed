import { describe, expect, test } from 'vitest';
import { ConversationPages } from '../../../../src/core/memory/pages/conversationPages.ts';
import { namesTool } from '../../../../src/core/memory/pages/procedurePages.ts';
import { recordsFor } from '../../../../src/core/memory/pages/recordsFor.ts';
import { procedureOf } from '../../../../src/core/memory/toolState/procedures.ts';
import { callsOf } from '../../../../src/core/memory/toolState/toolHistory.ts';
import type { Message, MessageContent } from '../../../../src/protocol/schemas/session.ts';
import { aMessage } from '../../../store/builders.ts';
import { fc } from '../../../support/fc.ts';
import { coreFixture, never, type CoreFixture } from '../../coreFixture.ts';

interface Called {
  readonly tool: string;
  readonly path: string;
  readonly works: boolean;
}

/** A conversation in which these calls were made. Those behind `from` are of a branch. */
const conversation = (calls: readonly Called[], branch = '', from = Infinity): Message[] => {
  const messages: Message[] = [];
  const add = (content: MessageContent, own: string): void => {
    const sequence = messages.length + 1;
    messages.push({ ...aMessage(`m${sequence}${own}`, sequence), role: 'tool', content });
  };
  for (const [at, { tool: name, path, works }] of calls.entries()) {
    const own = at < from ? '' : branch;
    const call = `c${at}${own}`;
    add({ type: 'tool-calls', text: '', calls: [{ id: call, name, arguments: JSON.stringify({ path }) }] }, own);
    const [text, outcome] = works ? (['fine', 'done'] as const) : (['no such file', 'failed'] as const);
    add({ type: 'tool-result', call, name, text, outcome }, own);
  }
  return messages;
};

const memory = { segment: () => null, pinned: new Set<string>(), mutations: [], searches: [] };
const taughtBy = (tool: string, messages: readonly Message[]) => procedureOf(callsOf(messages), tool);
const source = (messages: readonly Message[]) => ({ messages, layout: [], memory, taughtBy });
const pagesOf = (messages: readonly Message[]) => new ConversationPages().of(source(messages));

const called = fc.record({
  tool: fc.constantFrom('read_file', 'write_file', 'page_fault'),
  path: fc.constantFrom('a', '/a', '/b'),
  works: fc.boolean(),
});

describe('the page of a tool', () => {
  test('S1-20 S1-94 says what failed, what worked and what the fix was, is derived from the results, and leaves nothing of them out of the table', () => {
    const messages = conversation([
      { tool: 'read_file', path: 'a', works: false },
      { tool: 'read_file', path: '/a', works: true },
      { tool: 'page_fault', path: 'p', works: true },
      { tool: 'page_fault', path: 'p', works: true },
    ]);
    const pages = pagesOf(messages);
    const [page, ...others] = pages.procedures();
    expect(others).toEqual([]);
    expect(page).toMatchObject({ id: 't-read_file', kind: 'procedure', tier: 'L2', sequence: 4, pinnedBy: null });
    expect(page?.represents.map((each) => each.page)).toEqual([2, 4].map((at) => pages.at(at)?.id));
    expect(pages.derivedText(page!)).toBe(
      [
        'Calls of the tool read_file: 1 worked, 1 failed.',
        'Failed: no such file',
        'Values of path that worked: "/a"',
        'Fixed before: call-0002 worked after call-0001 failed (changed path).',
        'Worked before: call-0002 {"path":"/a"}',
      ].join('\n'),
    );
    expect(pages.table.stats).toMatchObject({ total: 9, byKind: { procedure: 1, artifact: 4 } });
    expect(pages.named('t-read_file')).toBe(page);
    expect(pages.messageOf(page!)).toBeNull();
  });

  test('S1-32 after any calls on any branches it is what a table made at once has', () => {
    const state = fc.record({ calls: fc.array(called, { maxLength: 8 }), from: fc.integer({ min: 0, max: 8 }) });
    fc.assert(
      fc.property(fc.array(state, { minLength: 1, maxLength: 5 }), (states) => {
        const pages = new ConversationPages();
        let before: readonly Called[] = [];
        for (const [at, { calls, from }] of states.entries()) {
          const said = [...before.slice(0, from), ...calls];
          before = said;
          const messages = conversation(said, `b${at}`, from);
          const [incremental, fresh] = [pages.of(source(messages)), pagesOf(messages)];
          const byId = (of: ConversationPages) => Object.fromEntries(of.table.entries.map((page) => [page.id, page]));
          expect(byId(incremental)).toEqual(byId(fresh));
          const texts = (of: ConversationPages) =>
            of
              .procedures()
              .map((page) => of.derivedText(page))
              .sort();
          expect(texts(incremental)).toEqual(texts(fresh));
        }
      }),
    );
  });

  test('S1-47 what was read of it before another call is not what a later look gets', () => {
    const calls = [
      { tool: 'read_file', path: 'a', works: true },
      { tool: 'read_file', path: 'b', works: true },
    ];
    const messages = conversation([...calls, { tool: 'read_file', path: 'c', works: false }]);
    const pages = pagesOf(messages.slice(0, 4));
    pages.remember('t-read_file', { level: 0, had: 0, text: 'of then', tokens: 2 });
    expect(pages.table.get('t-read_file')?.tier).toBe('L1');
    pages.of(source(messages));
    expect(pages.recall('t-read_file', 0)).toBeNull();
    expect(pages.table.get('t-read_file')?.tier).toBe('L2');
  });

  test.each([
    ['How do I call read_file?', 'read_file', true],
    ['Which way of reading files worked?', 'read_file', true],
    ['What did the file say?', 'read_file', false],
    ['What did we read?', 'read', false],
    ['Why did the tool read fail?', 'read', true],
    ['Did getIssue ever fail?', 'getIssue', true],
  ])('S1-94 %s is about %s: %s', (question, tool, isAbout) => {
    expect(namesTool(question, tool)).toBe(isAbout);
  });

  test('S1-72 an archive takes along what happened to it', () => {
    const noted = { type: 'mutation', what: 'fault_in', actor: 'tool', sequence: 2, at: '' } as const;
    const messages = conversation([{ tool: 'read_file', path: 'a', works: true }]);
    const of = (page: string) => recordsFor(messages, [{ ...noted, page }]).left;
    expect([of('t-read_file'), of('p1-ffff')]).toEqual([0, 1]);
  });
});

describe('what calls of a tool taught', () => {
  const call = (name: string, given: object, at = 0) => ({
    id: `call-${name}-${at}`,
    name,
    arguments: JSON.stringify(given),
  });

  /** A session in which a call failed and another one worked, and whose first messages have left the prompt. */
  async function taught(): Promise<CoreFixture> {
    const fixture = await coreFixture();
    const { cwm, engine, tools } = fixture;
    engine.model = { ...engine.model, maxModelLen: 4096 };
    await cwm.createSession({ id: 's', memory: { enableVm: true }, tools: { policy: 'auto-loop' } });
    tools.act = async (_, given) => ({
      text: given['path'] === 'a' ? 'no such file' : 'fine',
      hasFailed: given['path'] === 'a',
    });
    engine.toolCalls = [[call('read_file', { path: 'a' }, 1)], [call('read_file', { path: '/a' }, 2)]];
    const send = (text: string) => cwm.send({ session: 's', text, maxTokens: 32 }, never());
    await send('Read the file.');
    for (let turn = 0; turn < 5; turn++) await send(`Turn ${turn}: ${'filler '.repeat(100)}`);
    engine.model = { ...engine.model, maxModelLen: 16_384 };
    return fixture;
  }

  const resultsOf = async ({ cwm }: CoreFixture): Promise<string[]> =>
    (await cwm.listMessages({ session: 's', limit: 100 })).items.flatMap(({ content }) =>
      content.type === 'tool-result' ? [content.text] : [],
    );

  test('S1-20 S1-94 is found by search_pages and brought back by page_fault, and both are in the history of its page', async () => {
    const fixture = await taught();
    const { cwm, engine } = fixture;
    engine.toolCalls = [
      [call('search_pages', { query: 'How do I call read_file?', limit: 1 })],
      [call('page_fault', { page_id: 't-read_file' })],
      [call('page_fault', { page_id: 't-read_file' }, 1)],
    ];
    await cwm.send({ session: 's', text: 'And now?', maxTokens: 32 }, never());
    const [found, faulted, again] = (await resultsOf(fixture))
      .slice(-3)
      .map((text) => JSON.parse(text) as Record<string, unknown>);
    const { text } = await cwm.memoryPage({ session: 's', page: 't-read_file' });
    expect(text).toContain('Fixed before: call-0002 worked after call-0001 failed (changed path).');
    expect(found?.['results']).toContainEqual({ page_id: 't-read_file', role: 'tool', kind: 'procedure', text });
    expect(faulted).toMatchObject({ page: { page_id: 't-read_file', role: 'tool', content: text, level: 0 } });
    expect(again).toMatchObject({ error: expect.stringContaining('in the prompt already') as string });
    const { items } = await cwm.searchPages({ text: 'Did read_file fail?', session: 's', limit: 1 });
    expect(items).toMatchObject([{ page: 't-read_file', role: 'tool', text }]);
    const { events, searches } = await cwm.memoryHistory({ session: 's', page: 't-read_file' });
    expect([events.map(({ reason }) => reason), searches.length]).toEqual([['resolve_reference'], 1]);
    const { procedures } = await cwm.memoryState({ session: 's' });
    expect(procedures).toMatchObject([
      { id: 't-read_file', hint: '[procedure] Calls of the tool read_file: 1 worked, 1 failed.' },
    ]);
  });

  test('S1-51 comes with a call that fails, which the history of its page tells, and counts as no fault of the model', async () => {
    const fixture = await taught();
    const { cwm, engine } = fixture;
    engine.toolCalls = [[call('read_file', { path: 'a' }, 3)]];
    await cwm.send({ session: 's', text: 'Once more.', maxTokens: 32 }, never());
    expect((await resultsOf(fixture)).at(-1)).toContain('[Worked before: call-0002');
    const { events } = await cwm.memoryHistory({ session: 's', page: 't-read_file' });
    expect(events).toMatchObject([{ what: 'fault_in', actor: 'tool', reason: 'tool_prereq' }]);
    const { stats, faults } = await cwm.memoryState({ session: 's' });
    expect(stats).toMatchObject({ faults: 0, faultsByReason: { tool_prereq: 1 } });
    expect(faults).toBe(0);
  });

  test('S1-42 is brought back by a person, and cannot be pinned or weighed: it changes with the next call', async () => {
    const { cwm } = await taught();
    const named = { session: 's', page: 't-read_file' };
    await cwm.faultPage(named, never());
    const { items } = await cwm.listMessages({ session: 's', limit: 100 });
    expect(items.at(-1)?.content).toMatchObject({ type: 'context', files: [{ path: 'page t-read_file, procedure' }] });
    await expect(cwm.faultPage(named, never())).rejects.toThrow('in the prompt already');
    await expect(cwm.pinPage({ ...named, pinned: true }, never())).rejects.toThrow('stands for messages');
    await expect(cwm.weighPage({ ...named, importance: 1 }, never())).rejects.toThrow('stands for messages');
  });
});
