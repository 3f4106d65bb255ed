import { describe, expect, test } from 'vitest';
import { sessionId } from '../../support/ids.ts';
import { codeOf, coreFixture, never, type CoreFixture } from '../coreFixture.ts';

const first = 'The service is called heron-sdk.\n"It is final."';

/** A session whose first message has left the prompt, unless it is pinned. */
async function longTalk(pin?: string, importance?: number): Promise<CoreFixture> {
  const fixture = await coreFixture();
  fixture.engine.model = { ...fixture.engine.model, maxModelLen: 4096 };
  await fixture.cwm.createSession({ id: 's', memory: { enableVm: true } });
  const send = (text: string) => fixture.cwm.send({ session: 's', text, maxTokens: 32 }, never());
  await send(first);
  if (pin !== undefined) await fixture.cwm.pinPage({ session: 's', page: pin, pinned: true }, never());
  if (importance !== undefined) await fixture.cwm.weighPage({ session: 's', page: 'p1', importance }, never());
  for (let turn = 0; turn < 5; turn++) await send(`Turn ${turn}: ${'filler '.repeat(100)}`);
  return fixture;
}

describe('what a user sees of memory and does with it', () => {
  test('S1-70 shows what the prompt has, a page whole, and why it left; brings it back', async () => {
    const { cwm, store } = await longTalk();
    const state = await cwm.memoryState({ session: 's' });
    expect(state).toMatchObject({ enableVm: true, limit: 4096, messages: 12, faults: 0 });
    expect(state.inPrompt).toBeLessThan(12);
    expect(state.segments[0]?.firstSequence).toBe(1);
    expect(state.pages.map(({ tier }) => tier)).toContain('L2');
    const page = state.pages[0]?.id ?? '';
    expect((await cwm.memoryPage({ session: 's', page })).text).toBe(first);
    const why = await cwm.memoryHistory({ session: 's', page });
    expect(why).toMatchObject({ inPrompt: { from: 2 }, leftWith: { segment: 's1' }, events: [] });

    await cwm.faultPage({ session: 's', page }, never());
    const after = await cwm.memoryHistory({ session: 's', page });
    expect(after.events).toMatchObject([{ what: 'fault_in', actor: 'user', reason: 'user_requested_recall' }]);
    const { items } = await cwm.listMessages({ session: 's' });
    expect(JSON.stringify(items.at(-1)?.content)).toContain('heron-sdk');
    expect((await store.sessions.get('s' as never))?.tokens?.segments).toEqual(state.segments.map(({ id }) => id));
  });

  test('S1-42 a pinned page stays whole in the segment that takes the place of its neighbours', async () => {
    const { cwm } = await longTalk('p1');
    const { segments, pages } = await cwm.memoryState({ session: 's' });
    expect(pages[0]?.pinned).toBe(true);
    const line = segments[0]?.text.split('\n').find((each) => each.startsWith('Pinned (')) ?? '';
    expect(JSON.parse(line.slice(line.indexOf('"')))).toBe(first);
  });

  test('S1-22 what a page is worth can be said from outside: from 0.9 on it stays whole in the segment, and its role’s counts again afterwards', async () => {
    const important = await longTalk(undefined, 0.9);
    const { cwm } = important;
    const { segments, pages } = await cwm.memoryState({ session: 's' });
    expect(pages.slice(0, 2).map(({ importance }) => importance)).toEqual([0.9, 0.5]);
    const textOfFirst = async ({ store }: CoreFixture): Promise<string> => {
      const records = await store.memory.load(sessionId('s'));
      return records.find((record) => record.type === 'segment')?.text ?? '';
    };
    const line = (await textOfFirst(important)).split('\n').find((each) => each.startsWith('Kept (')) ?? '';
    expect(JSON.parse(line.slice(line.indexOf('"')))).toBe(first);
    const page = pages[0]?.id ?? '';
    expect(await cwm.weighPage({ session: 's', page, importance: null }, never())).toEqual({ page, importance: 0.6 });
    expect((await cwm.memoryState({ session: 's' })).pages[0]?.importance).toBe(0.6);
    expect((await cwm.memoryHistory({ session: 's', page })).events).toMatchObject([
      { what: 'update', actor: 'user', importance: 0.9 },
      { what: 'update', actor: 'user', importance: null },
    ]);
    const less = await longTalk(undefined, 0.89);
    expect(await textOfFirst(less)).not.toContain('Kept (');
    const weigh = (named: string) => cwm.weighPage({ session: 's', page: named, importance: 1 }, never());
    expect(await codeOf(weigh('p99-aaaa'))).toBe('CWM-2007');
    expect(await codeOf(weigh(segments[0]?.id ?? ''))).toBe('CWM-1003');
  });

  test('a page that nobody has, and a pin of one that left, are clear errors', async () => {
    const { cwm } = await longTalk();
    expect(await codeOf(cwm.memoryPage({ session: 's', page: 'p99-aaaa' }))).toBe('CWM-2007');
    expect(await codeOf(cwm.pinPage({ session: 's', page: 'p1', pinned: true }, never()))).toBe('CWM-3001');
    expect(await codeOf(cwm.faultPage({ session: 's', page: 'p12' }, never()))).toBe('CWM-1003');
  });

  test('S1-42 a page that came back is pinned as its copy and unpinned by either name, and comes back only once', async () => {
    const { cwm, engine } = await longTalk();
    const page = (await cwm.memoryState({ session: 's' })).pages[0]?.id ?? '';
    await cwm.faultPage({ session: 's', page }, never());
    await expect(cwm.faultPage({ session: 's', page }, never())).rejects.toMatchObject({
      name: 'InvalidParameter',
      message: expect.stringMatching(/in the prompt already, as p13-/) as string,
    });
    const pinned = await cwm.pinPage({ session: 's', page, pinned: true }, never());
    expect(pinned.page).toMatch(/^p13-/);
    engine.model = { ...engine.model, maxModelLen: 2400 };
    for (let turn = 0; turn < 5; turn++)
      await cwm.send({ session: 's', text: `Later ${turn}: ${'filler '.repeat(60)}`, maxTokens: 32 }, never());
    const { segments } = await cwm.memoryState({ session: 's' });
    expect(segments.at(-1)?.lastSequence).toBeGreaterThanOrEqual(13);
    expect(segments.map(({ text }) => text).join('\n')).toContain(`Pinned (${pinned.page})`);
    expect(await cwm.pinPage({ session: 's', page: pinned.page, pinned: false }, never())).toMatchObject({
      page: pinned.page,
    });
  });

  test('a summary cannot be pinned, since no pin keeps it', async () => {
    const { cwm } = await longTalk();
    expect(await codeOf(cwm.pinPage({ session: 's', page: 's1', pinned: true }, never()))).toBe('CWM-1003');
  });

  test('whoever leaves while a turn runs pins nothing', async () => {
    const { cwm } = await longTalk();
    const left = AbortSignal.abort();
    await expect(cwm.pinPage({ session: 's', page: 'p12', pinned: true }, left)).rejects.toThrow();
    expect((await cwm.memoryState({ session: 's' })).pages.some(({ pinned }) => pinned)).toBe(false);
  });

  test('S1-70 why a page left is told of its own branch alone', async () => {
    const { cwm, engine } = await longTalk();
    engine.model = { ...engine.model, maxModelLen: 65_536 };
    const { items } = await cwm.listMessages({ session: 's' });
    await cwm.createBranch({ session: 's', name: 'short', at: items[1]!.id }, never());
    for (let turn = 0; turn < 2; turn++)
      await cwm.send({ session: 's', text: `Here ${turn}.`, maxTokens: 32 }, never());
    const { pages, segments } = await cwm.memoryState({ session: 's' });
    expect(segments).toEqual([]);
    const why = await cwm.memoryHistory({ session: 's', page: pages[4]?.id ?? '' });
    expect(why).toMatchObject({ leftWith: null, inPrompt: { from: 6, to: 6 } });
    // What both have in common is whole here.
    expect((await cwm.memoryHistory({ session: 's', page: pages[0]?.id ?? '' })).leftWith).toBeNull();
  });

  test('S1-72 a branch and a window have the segments of their ids, and a thaw continues from exactly those', async () => {
    const { cwm, store } = await longTalk();
    const before = await store.sessions.get('s' as never);
    const last = (await cwm.memoryState({ session: 's' })).pages.at(-1)?.id ?? '';
    await cwm.pinPage({ session: 's', page: last, pinned: true }, never());
    const then = await cwm.memoryState({ session: 's' });
    await cwm.freeze({ session: 's', window: 'w' }, never());
    const receipt = await cwm.thaw({ window: 'w', session: 't' }, never());
    expect(receipt.verdict).toBe('proven');
    const { pages, turns, ratio, inPrompt } = await cwm.memoryState({ session: 't' });
    // What the engine was asked to count is in the memory of a process.
    const uncounted = (all: typeof pages) => all.map((page) => ({ ...page, tokens: null }));
    expect({ pages: uncounted(pages), turns, ratio, inPrompt }).toEqual({
      pages: uncounted(then.pages),
      turns: then.turns,
      ratio: then.ratio,
      inPrompt: then.inPrompt,
    });
    expect(pages.at(-1)?.pinned).toBe(true);
    const sent = await cwm.send({ session: 't', text: 'And then?', maxTokens: 32 }, never());
    expect(sent.prefixBreak).toBeNull();
    expect((await store.sessions.get('t' as never))?.tokens?.segments).toEqual(before?.tokens?.segments);
    expect((await cwm.memoryState({ session: 't' })).segments.map(({ id }) => id)).toEqual(before?.tokens?.segments);
  });
});
