import { describe, expect, it } from 'vitest';
import type { Trackers } from '../../../src/core/tracker/trackers.ts';
import { sessionId } from '../../store/builders.ts';
import { codeOf } from '../coreFixture.ts';
import { put, trackerFixture, type TrackerFixture } from './trackerFixture.ts';

async function withSessions(count: number, config = {}): Promise<{ fixture: TrackerFixture; all: Trackers }> {
  const fixture = await trackerFixture();
  for (let n = 1; n <= count; n++) await fixture.addSession(`c${n}`);
  return { fixture, all: fixture.trackers(config) };
}

const activate = (all: Trackers, ...ids: string[]): Promise<unknown> =>
  ids.reduce<Promise<unknown>>((before, id) => before.then(() => all.select(sessionId(id))), Promise.resolve());

describe('S3-04 activation', () => {
  it('nothing is selected at first; deselecting then is no error', async () => {
    const { all } = await withSessions(1);
    const none = { current: null, active: [], deactivated: null };
    expect(await all.selected()).toEqual(none);
    expect(await all.deselect()).toEqual(none);
  });

  it('selecting a selected session makes it the last selected one', async () => {
    const { all, fixture } = await withSessions(3);
    await put(await fixture.make('c1'), 1, { n: 1 });
    await activate(all, 'c1', 'c2', 'c3');
    expect(await all.select(sessionId('c1'))).toMatchObject({
      current: { session: 'c1', version: 1, data: { n: 1 } },
      active: ['c1', 'c3', 'c2'],
      deactivated: null,
    });
  });

  it('deselecting makes the one before it the last selected one', async () => {
    const { all } = await withSessions(3);
    await activate(all, 'c1', 'c2', 'c3');
    expect(await all.deselect()).toMatchObject({ current: { session: 'c2' }, active: ['c2', 'c1'] });
  });

  it('a sixth session replaces the one that was selected the longest ago, and the answer names it', async () => {
    const { all } = await withSessions(6);
    await activate(all, 'c1', 'c2', 'c3', 'c4', 'c5', 'c1');
    expect(await all.select(sessionId('c6'))).toMatchObject({
      active: ['c6', 'c1', 'c5', 'c4', 'c3'],
      deactivated: 'c2',
    });
  });

  it('a missing session is CWM-2001, and nothing is created', async () => {
    const { all, fixture } = await withSessions(0);
    expect(await codeOf(all.select(sessionId('c9')))).toBe('CWM-2001');
    expect(await fixture.store.sessions.get(sessionId('c9'))).toBeNull();
    await fixture.addSession('c9');
    expect(await all.select(sessionId('c9')), 'it is not missing for ever').toMatchObject({ active: ['c9'] });
  });

  it('makes it where it is set so, and the default one where there is one', async () => {
    const { all } = await withSessions(0, { autoCreate: true, defaultSession: 'default' });
    expect(await all.selected()).toMatchObject({ current: { session: 'default', version: 0 }, active: ['default'] });
    expect(await all.select(sessionId('c9'))).toMatchObject({ active: ['c9', 'default'] });
  });

  it('survives a restart, without those that are gone', async () => {
    const { all, fixture } = await withSessions(3);
    await activate(all, 'c1', 'c2', 'c3');
    await fixture.store.sessions.delete(sessionId('c3'));
    await fixture.store.close();
    const again = await trackerFixture(fixture.memory);
    expect(await again.trackers().selected()).toMatchObject({ current: { session: 'c2' }, active: ['c2', 'c1'] });
  });

  it('S3-07 NotInitialized: "@" is the current one, and CWM-3104 while there is none', async () => {
    const { all } = await withSessions(2);
    expect(await codeOf(all.resolve('@'))).toBe('CWM-3104');
    await activate(all, 'c2');
    expect(await all.resolve('@')).toBe('c2');
    expect(await all.resolve('c1')).toBe('c1');
    expect(await codeOf(all.resolve('@@'))).toBe('CWM-1001');
  });
});

describe('S3-09 trackers in memory', () => {
  const touch = (all: Trackers, id: string): Promise<unknown> =>
    all.use(sessionId(id), (tracker) => tracker.getState());

  it('are a hundred at most; the one used the longest ago goes', async () => {
    const { all, fixture } = await withSessions(4, { maxLoaded: 3 });
    for (const id of ['c1', 'c2', 'c3', 'c1', 'c4']) await touch(all, id);
    expect(all.loadedCount).toBe(3);
    let loads = 0;
    const { states } = fixture.store;
    const load = states.load.bind(states);
    states.load = (id) => (loads++, load(id));
    for (const id of ['c4', 'c1', 'c3']) await touch(all, id);
    expect(loads, 'those are still there').toBe(0);
    await touch(all, 'c2');
    expect(loads).toBe(1);
    expect((await trackerFixture()).trackers().loadedCount).toBe(0);
  });

  it('leave it when nobody used them for an hour', async () => {
    const { all, fixture } = await withSessions(3);
    await touch(all, 'c1');
    await touch(all, 'c2');
    fixture.clock.advance(3_599_999);
    await touch(all, 'c2');
    expect(all.loadedCount).toBe(2);
    fixture.clock.advance(1);
    await touch(all, 'c3');
    expect(all.loadedCount).toBe(2);
  });

  it('one that is in use stays, and is the same for everybody', async () => {
    const { all } = await withSessions(3, { maxLoaded: 1 });
    await all.use(sessionId('c1'), async (tracker) => {
      await touch(all, 'c2');
      await touch(all, 'c3');
      await all.use(sessionId('c1'), async (same) => expect(same).toBe(tracker));
    });
  });
});
