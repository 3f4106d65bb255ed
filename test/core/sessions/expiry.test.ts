import { describe, expect, test, vi } from 'vitest';
import { isDue, requireOpen } from '../../../src/core/lifecycle.ts';
import { CwmError } from '../../../src/protocol/errors.ts';
import { aSession } from '../../store/builders.ts';
import { codeOf, coreFixture, never, talkedSession, type CoreFixture } from '../coreFixture.ts';

const minuteMs = 60_000;

/** A session with a message that expires in ten minutes. */
async function expiringSession(): Promise<CoreFixture & { expiresAt: string }> {
  const fixture = await coreFixture();
  await talkedSession(fixture);
  const expiresAt = new Date(fixture.clock.peek() + 10 * minuteMs).toISOString();
  await fixture.cwm.setExpiry({ session: 's', expiresAt });
  return { ...fixture, expiresAt };
}

const lifecycleOf = async ({ cwm }: CoreFixture): Promise<string> => (await cwm.getSession({ session: 's' })).lifecycle;
const expired = async ({ cwm }: CoreFixture): Promise<string[]> =>
  (await cwm.listSessions({ lifecycle: 'expired' })).items.map(({ id }) => id);

describe('S0-30 a session expires only by its own setting', () => {
  test('at the very instant, and not a millisecond before', () => {
    const expiresAt = '2027-01-31T12:00:00.000Z';
    const session = aSession({ expiresAt });
    const before = new Date(Date.parse(expiresAt) - 1);
    expect(isDue(session, before)).toBe(false);
    expect(isDue(session, new Date(expiresAt))).toBe(true);
    expect(() => requireOpen(session, before)).not.toThrow();
    expect(() => requireOpen(session, new Date(expiresAt))).toThrow(/expired at 2027-01-31T12:00:00\.000Z/);
  });

  test('without a setting it never does', async () => {
    const fixture = await coreFixture();
    await talkedSession(fixture);
    fixture.clock.advance(20 * 365 * 24 * 60 * minuteMs);
    expect(await expired(fixture)).toEqual([]);
    expect(await lifecycleOf(fixture)).toBe('active');
  });

  test('it is listed as expired, and nothing of it is deleted', async () => {
    const fixture = await expiringSession();
    fixture.clock.advance(9 * minuteMs);
    expect(await expired(fixture)).toEqual([]);
    fixture.clock.advance(minuteMs);
    expect(await expired(fixture)).toEqual(['s']);
    expect(await lifecycleOf(fixture)).toBe('expired');
    expect((await fixture.cwm.listMessages({ session: 's' })).total).toBe(2);
    expect((await fixture.cwm.listTrash()).items).toEqual([]);
  });

  test('it takes no turn, freeze or state any more, also before a list has marked it', async () => {
    const fixture = await expiringSession();
    const { cwm, clock } = fixture;
    clock.advance(10 * minuteMs);
    for (const refused of [
      () => cwm.send({ session: 's', text: 'And then?' }, never()),
      () => cwm.freeze({ session: 's', window: 'w' }, never()),
      () => cwm.updateState({ session: 's', version: 1, data: {} }),
    ]) {
      expect(await codeOf(refused())).toBe('CWM-3001');
    }
    expect(await lifecycleOf(fixture)).toBe('active');
    expect(await expired(fixture)).toEqual(['s']);
    expect(await codeOf(cwm.send({ session: 's', text: 'And then?' }, never()))).toBe('CWM-3001');
  });

  test('a later expiry, or none, opens it again', async () => {
    const fixture = await expiringSession();
    const { cwm, clock } = fixture;
    clock.advance(10 * minuteMs);
    await expired(fixture);
    const reopened = await cwm.setExpiry({ session: 's', expiresAt: null });
    expect(reopened).toMatchObject({ lifecycle: 'active' });
    expect(reopened).not.toHaveProperty('expiresAt');
    await cwm.send({ session: 's', text: 'And then?' }, never());
    expect(await expired(fixture)).toEqual([]);
  });

  test('a frozen session does not expire, and a thawed one does with its next turn', async () => {
    const fixture = await expiringSession();
    const { cwm, clock } = fixture;
    await cwm.freeze({ session: 's', window: 'w' }, never());
    clock.advance(10 * minuteMs);
    expect(await expired(fixture)).toEqual([]);
    expect(await lifecycleOf(fixture)).toBe('frozen');
    await cwm.thaw({ window: 'w', resume: true }, never());
    expect(await lifecycleOf(fixture)).toBe('thawed');
    await cwm.send({ session: 's', text: 'And then?' }, never());
    expect(await expired(fixture)).toEqual(['s']);
  });

  test('an expired session can be deleted and restored as it was', async () => {
    const fixture = await expiringSession();
    fixture.clock.advance(10 * minuteMs);
    await expired(fixture);
    await fixture.cwm.deleteSession({ session: 's' });
    const [item] = (await fixture.cwm.listTrash()).items;
    await fixture.cwm.restoreFromTrash({ item: item!.id });
    expect(await expired(fixture)).toEqual(['s']);
  });

  test('a list is answered although the store takes no change', async () => {
    const fixture = await expiringSession();
    fixture.clock.advance(10 * minuteMs);
    vi.spyOn(fixture.store.sessions, 'update').mockRejectedValue(new CwmError('UnsupportedSchema', 'Read-only.'));
    expect((await fixture.cwm.listSessions({})).items).toMatchObject([{ id: 's', lifecycle: 'active' }]);
  });

  test.each(['yesterday', '', '2020-01-01T00:00:00Z'])(
    'an expiry that is no future time is refused: %j',
    async (at) => {
      const { cwm } = await coreFixture();
      expect(await codeOf(cwm.createSession({ id: 's', expiresAt: at }))).toBe('CWM-1003');
      expect((await cwm.listSessions({})).total).toBe(0);
    },
  );
});
