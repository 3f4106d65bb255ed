import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { Clock } from '../../../src/base/clock.ts';
import { Retention } from '../../../src/core/space/retention.ts';
import { sessionId } from '../../support/ids.ts';
import { coreFixture, never } from '../coreFixture.ts';

const dayMs = 86_400_000;

/** Sessions `old` and `new` with thirty days between their last turns, and what a sweep with so many days takes. */
async function aged(days: number) {
  const { cwm, store, clock: storeClock } = await coreFixture({ retentionDays: 0 });
  await cwm.createSession({ id: 'old', title: 'Ice' });
  await cwm.send({ session: 'old', text: 'What is ice?' }, never());
  const session = await store.sessions.get(sessionId('old'));
  if (!session) throw new Error('It is gone.');
  const usedMs = Date.parse(session.updatedAt);
  const now = { ms: usedMs };
  const clock: Clock = { now: () => new Date(now.ms), elapsedMs: () => now.ms };
  const failures: unknown[] = [];
  const retention = new Retention({
    store,
    clock,
    days,
    remove: async (id, isStill) => {
      const found = await store.sessions.get(id);
      if (found && (await isStill(found))) await cwm.deleteSession({ session: id, cascade: true }, never());
    },
    onFailure: (error) => failures.push(error),
  });
  const sweepAt = async (afterDays: number): Promise<number> => {
    now.ms = usedMs + afterDays * dayMs;
    // The store trusts no clock that it has not seen for a day.
    storeClock.advance(2 * dayMs);
    return retention.sweep();
  };
  return { cwm, store, storeClock, retention, failures, now, sweepAt };
}

describe('retention in days', () => {
  it('moves a session to the trash, with its windows, when it was unused for longer, and not at exactly that', async () => {
    const { cwm, sweepAt, failures } = await aged(30);
    await cwm.freeze({ session: 'old', window: 'w', checkpoint: true }, never());
    expect(await sweepAt(29)).toBe(0);
    expect(await sweepAt(31)).toBe(1);
    expect((await cwm.listSessions({})).total).toBe(0);
    expect(new Set((await cwm.listTrash()).items.map(({ kind, name }) => `${kind} ${name}`))).toEqual(
      new Set(['session old', 'window w']),
    );
    expect(failures).toEqual([]);
  });

  it('leaves a session with a pinned window, and one whose window was thawed since', async () => {
    const { cwm, sweepAt } = await aged(30);
    await cwm.freeze({ session: 'old', window: 'w' }, never());
    await cwm.pinWindow({ window: 'w', pinned: true });
    expect(await sweepAt(400)).toBe(0);
    await cwm.pinWindow({ window: 'w', pinned: false });
    expect(await sweepAt(400)).toBe(1);
  });

  it('moves none while the clock may be months ahead, and does so once it was steady for a day', async () => {
    const { storeClock, sweepAt } = await aged(30);
    storeClock.advance(200 * dayMs);
    expect(await sweepAt(200)).toBe(0);
    expect(await sweepAt(202)).toBe(1);
  });

  it('leaves a session that is used while the sweep runs', async () => {
    const { cwm, store, sweepAt } = await aged(30);
    const list = store.sessions.list.bind(store.sessions);
    let isFirst = true;
    vi.spyOn(store.sessions, 'list').mockImplementation(async (query) => {
      const page = await list(query);
      if (isFirst) {
        isFirst = false;
        await cwm.send({ session: 'old', text: 'And steam?' }, never());
      }
      return page;
    });
    expect(await sweepAt(31)).toBe(0);
    expect((await cwm.getSession({ session: 'old' })).id).toBe('old');
  });

  it('sweeps at its start and each hour, by the clock, and never with 0 days', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    onTestFinished(() => void vi.useRealTimers());
    const off = await aged(0);
    off.now.ms += 10_000 * dayMs;
    off.retention.start();
    await off.retention.settled();
    expect((await off.cwm.listSessions({})).total).toBe(1);
    const on = await aged(1);
    on.storeClock.advance(2 * dayMs);
    on.retention.start();
    await on.retention.settled();
    expect((await on.cwm.listSessions({})).total).toBe(1);
    on.now.ms += 2 * dayMs;
    await vi.advanceTimersByTimeAsync(3_600_000);
    await on.retention.settled();
    expect((await on.cwm.listSessions({})).total).toBe(0);
    await on.retention.stop();
  });
});
