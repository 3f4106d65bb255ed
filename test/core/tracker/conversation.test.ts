import { describe, expect, test } from 'vitest';
import { codeOf, coreFixture, never, talkedSession, type CoreFixture } from '../coreFixture.ts';

const hourMs = 3_600_000;
const points = async ({ cwm }: CoreFixture) => (await cwm.listRecoveryPoints({ session: 's' })).items;
const texts = async ({ cwm }: CoreFixture): Promise<unknown[]> =>
  (await cwm.listMessages({ session: 's' })).items.map(({ content }) => content.type === 'text' && content.text);

/** A session `s` of two turns, an hour apart, with a state that was changed in between. */
async function twoTurns(): Promise<CoreFixture> {
  const fixture = await coreFixture();
  await talkedSession(fixture);
  await fixture.cwm.updateState({ session: 's', version: 1, data: { goal: 'explain' } });
  fixture.clock.advance(hourMs);
  await fixture.cwm.send({ session: 's', text: 'And what is it bad for?' }, never());
  return fixture;
}

describe('S3-08 the conversation in recovery points', () => {
  test('a turn makes a recovery point first, at most once a minute', async () => {
    const fixture = await twoTurns();
    expect(await points(fixture)).toMatchObject([
      { reason: 'turn', messages: 2, version: 1 },
      { reason: 'update', messages: 2, version: 0 },
    ]);
    await fixture.cwm.send({ session: 's', text: 'Thanks.' }, never());
    expect(await points(fixture)).toHaveLength(2);
  });

  test('a turn that fails leaves a recovery point equal to the session, and the next turn adds none', async () => {
    const fixture = await twoTurns();
    fixture.clock.advance(hourMs);
    fixture.engine.fault = 'EngineUnavailable';
    expect(await codeOf(fixture.cwm.send({ session: 's', text: 'Hm?' }, never()))).toBe('CWM-5001');
    fixture.engine.fault = null;
    fixture.clock.advance(hourMs);
    await fixture.cwm.send({ session: 's', text: 'Hm?' }, never());
    expect(await points(fixture)).toHaveLength(3);
  });

  test('going back undoes the last turn; the next turn reuses the computed KV; going back can be undone', async () => {
    const fixture = await twoTurns();
    const { cwm } = fixture;
    const [latest] = await points(fixture);
    const all = await texts(fixture);
    fixture.heard.splice(0);
    const result = await cwm.restoreRecoveryPoint({ session: 's' }, never());
    expect(result).toMatchObject({ restored: { id: latest?.id }, state: { data: { goal: 'explain' } }, damaged: [] });
    expect(fixture.heard).toContainEqual({ type: 'state', session: 's' });
    const { version, phase } = await cwm.getSession({ session: 's' });
    expect(fixture.heard).toContainEqual({ type: 'session', session: 's', version, phase });
    expect(await texts(fixture)).toEqual(all.slice(0, 2));

    const before = (await cwm.getSession({ session: 's' })).tokens?.count ?? 0;
    expect(before).toBe(latest?.tokens);
    const turn = await cwm.send({ session: 's', text: 'Another question.' }, never());
    expect(turn.prefixBreak).toBeNull();
    expect(turn.cachedTokens).toBeGreaterThanOrEqual(Math.floor((before - 1) / 4) * 4);

    await cwm.restoreRecoveryPoint({ session: 's', id: result.undo ?? '' }, never());
    expect(await texts(fixture)).toEqual(all);
    const { steps } = await cwm.verify({}, never());
    expect(steps.flatMap(({ problems }) => problems)).toEqual([]);
  });

  test('a session that went back can be frozen and thawed', async () => {
    const { cwm } = await twoTurns();
    await cwm.restoreRecoveryPoint({ session: 's' }, never());
    await cwm.freeze({ session: 's', window: 'w' }, never());
    expect(await cwm.thaw({ window: 'w' }, never())).toMatchObject({ verdict: 'proven' });
  });

  test('S3-07 StateError: a frozen session is not taken back (CWM-3002), one with a turn under way neither (CWM-3001)', async () => {
    const fixture = await twoTurns();
    const { cwm } = fixture;
    const asked = Promise.withResolvers<void>();
    fixture.engine.onCall = async () => asked.resolve();
    const turn = cwm.send({ session: 's', text: 'Meanwhile.' }, never());
    await asked.promise;
    expect(await codeOf(cwm.restoreRecoveryPoint({ session: 's' }, never()))).toBe('CWM-3001');
    await turn;
    await cwm.freeze({ session: 's', window: 'w' }, never());
    expect(await codeOf(cwm.restoreRecoveryPoint({ session: 's' }, never()))).toBe('CWM-3002');
  });

  test('a new session has nothing to go back to', async () => {
    const fixture = await coreFixture();
    await fixture.cwm.createSession({ id: 's' });
    expect(await points(fixture)).toEqual([]);
    expect(await codeOf(fixture.cwm.restoreRecoveryPoint({ session: 's' }, never()))).toBe('CWM-2005');
  });

  test('state and recovery points go to the trash with their session, and come back with it', async () => {
    const fixture = await twoTurns();
    const { cwm } = fixture;
    const [state, kept] = [await cwm.getState({ session: 's' }), await points(fixture)];
    await cwm.selectSession({ session: 's' });
    await cwm.deleteSession({ session: 's' }, never());
    expect(await codeOf(cwm.getState({ session: 's' }))).toBe('CWM-2001');
    expect(await cwm.selectedSessions()).toMatchObject({ current: null, active: [] });
    expect(await codeOf(cwm.getState({ session: '@' }))).toBe('CWM-3104');
    await cwm.createSession({ id: 's' });
    expect(await cwm.getState({ session: 's' })).toMatchObject({ version: 0 });
    await cwm.deleteSession({ session: 's' }, never());
    const { items } = await cwm.listTrash();
    await cwm.restoreFromTrash({ item: items.at(-1)?.id ?? '' });
    expect(await cwm.getState({ session: 's' })).toEqual(state);
    expect(await points(fixture)).toEqual(kept);
  });

  test.each([
    [{ id: 'x', version: 1 }, 'CWM-1003'],
    [{ at: 'yesterday' }, 'CWM-1003'],
    [{ at: '2020-01-01' }, 'CWM-2004'],
    [{ version: 77 }, 'CWM-2004'],
  ])('S3-08 %o is %s', async (choice, code) => {
    const { cwm } = await twoTurns();
    expect(await codeOf(cwm.restoreRecoveryPoint({ session: 's', ...choice }, never()))).toBe(code);
  });
});

test('S3-02 a change meant for a session that was deleted is not made to a new one of the same id', async () => {
  const { cwm } = await coreFixture();
  await cwm.createSession({ id: 's' });
  const { sessionCreatedAt } = await cwm.getState({ session: 's' });
  await cwm.deleteSession({ session: 's' });
  await cwm.createSession({ id: 's' });
  const change = { session: 's', version: 1, data: { goal: 'ice' } };
  expect(await codeOf(cwm.updateState({ ...change, sessionCreatedAt }))).toBe('CWM-3103');
  const fresh = await cwm.getState({ session: 's' });
  expect(fresh).toMatchObject({ version: 0, data: {} });
  const stored = await cwm.updateState({ ...change, sessionCreatedAt: fresh.sessionCreatedAt });
  expect(stored).toMatchObject({ version: 1, sessionCreatedAt: fresh.sessionCreatedAt });
});
