import { describe, expect, test } from 'vitest';
import { codeOf, coreFixture, never } from '../coreFixture.ts';

async function twoBranches() {
  const { cwm } = await coreFixture();
  await cwm.createSession({ id: 's' });
  await cwm.send({ session: 's', text: 'One.' }, never());
  const [first] = (await cwm.listMessages({ session: 's' })).items;
  await cwm.createBranch({ session: 's', name: 'other', at: first?.id ?? '' });
  await cwm.send({ session: 's', text: 'Two.' }, never());
  return cwm;
}

describe('S4-30 messages of a session', () => {
  test('are those of the active branch, or of the one that is named', async () => {
    const cwm = await twoBranches();
    const own = await cwm.listMessages({ session: 's' });
    const main = await cwm.listMessages({ session: 's', branch: 'main', limit: 1 });
    expect([own.total, main.total, main.hasMore]).toEqual([3, 2, true]);
    expect(main.items[0]).toEqual(own.items[0]);
    expect(await codeOf(cwm.listMessages({ session: 's', branch: 'gone' }))).toBe('CWM-2006');
  });

  test('come by their ids, in that order and from any branch', async () => {
    const cwm = await twoBranches();
    const ids = [...(await cwm.listMessages({ session: 's', branch: 'main' })).items].reverse().map(({ id }) => id);
    const { items, total, hasMore } = await cwm.listMessages({ session: 's', ids: ids.join(',') });
    expect(items.map(({ id }) => id)).toEqual(ids);
    expect([total, hasMore]).toEqual([2, false]);
    expect(await cwm.getMessage({ session: 's', message: ids[0] ?? '' })).toEqual(items[0]);
    expect(await codeOf(cwm.listMessages({ session: 's', ids: `${ids[0]},x` }))).toBe('CWM-2007');
    expect(await codeOf(cwm.listMessages({ session: 's', ids: '' }))).toBe('CWM-1003');
    expect(await codeOf(cwm.listMessages({ session: 's', ids: 'x,'.repeat(100) + 'x' }))).toBe('CWM-1003');
  });

  test('one that is not there is not found, and no damage', async () => {
    const cwm = await twoBranches();
    expect(await codeOf(cwm.getMessage({ session: 's', message: 'x' }))).toBe('CWM-2007');
    expect(await codeOf(cwm.listMessages({ session: 's', upTo: 'x' }))).toBe('CWM-2007');
  });

  test('a page begins at a whole number that a list can have', async () => {
    const cwm = await twoBranches();
    for (const offset of [-1, 0.5, 1e30])
      expect(await codeOf(cwm.listMessages({ session: 's', offset }))).toBe('CWM-1003');
  });
});

describe('S4-31 the state of a turn', () => {
  test('says whether a message would be taken', async () => {
    const cwm = await twoBranches();
    const free = await cwm.turnState({ session: 's' });
    expect(free).toMatchObject({ phase: 'Idle', activeBranch: 'other', canSendMessage: true, answering: null });
    expect(free.pendingToolApprovals).toEqual([]);
    await cwm.freeze({ session: 's', window: 'w' }, never());
    expect(await cwm.turnState({ session: 's' })).toMatchObject({ lifecycle: 'frozen', canSendMessage: false });
    expect(await codeOf(cwm.turnState({ session: 'gone' }))).toBe('CWM-2001');
  });

  test('says so while a turn runs, and names the answer that comes', async () => {
    const cwm = await twoBranches();
    const seen: unknown[] = [];
    await cwm.send({ session: 's', text: 'Three.' }, never(), {
      progress: () => undefined,
      begun: (answer) => void cwm.turnState({ session: 's' }).then((state) => seen.push([answer, state])),
      text: () => undefined,
      reasoning: () => undefined,
      tool: () => undefined,
    });
    const [[answer, state]] = seen as [[string, object]];
    expect(state).toMatchObject({ canSendMessage: false });
    expect([null, answer]).toContain((state as { answering: unknown }).answering);
  });
});
