import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { AutoSync } from '../../../src/core/tracker/autoSync.ts';
import { sessionId } from '../../store/builders.ts';
import { StateFolders } from '../../../src/store/states/stateFolders.ts';
import { folder, put, trackerFixture } from './trackerFixture.ts';
import { eventually } from '../../support/eventually.ts';

beforeEach(() => vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }));
afterEach(() => vi.useRealTimers());

async function syncing(intervalMs: number) {
  const fixture = await trackerFixture();
  const trackers = fixture.trackers();
  const failures: unknown[] = [];
  const peers = new StateFolders(fixture.memory);
  const sync = new AutoSync(trackers, peers, { folder, intervalMs }, (error) => failures.push(error));
  await fixture.addSession('s2');
  for (const id of ['s1', 's2']) await trackers.use(sessionId(id), (tracker) => put(tracker, 1, { id }));
  await trackers.select(sessionId('s1'));
  sync.start();
  return { ...fixture, trackers, sync, failures };
}

describe('S3-05 synchronising by itself', () => {
  it('merges the active sessions with the folder after each interval, and leaves the others', async () => {
    const { peer, trackers, sync, failures } = await syncing(60_000);
    await vi.advanceTimersByTimeAsync(59_999);
    expect(await peer.read(sessionId('s1'))).toBeNull();
    await vi.advanceTimersByTimeAsync(1);
    await eventually(async () => expect(await peer.read(sessionId('s1'))).toMatchObject({ data: { id: 's1' } }));
    expect(await peer.read(sessionId('s2'))).toBeNull();

    const theirs = { version: 2, lastUpdated: '2027-01-01', data: { id: 's1', theirs: 1 }, metadata: {} };
    await peer.write(sessionId('s1'), theirs, 1);
    await trackers.use(sessionId('s1'), (tracker) => put(tracker, 2, { id: 's1', ours: 1 }));
    await eventually(async () => {
      await vi.advanceTimersByTimeAsync(60_000);
      expect(await trackers.selected()).toMatchObject({ current: { data: { id: 's1', ours: 1, theirs: 1 } } });
    });
    expect(failures).toEqual([]);
    sync.close();
  });

  it('reports a failure, and continues', async () => {
    const { peer, memory, sync, failures } = await syncing(1000);
    await memory.removeTree(folder);
    await eventually(async () => {
      await vi.advanceTimersByTimeAsync(1000);
      expect(failures[0]).toMatchObject({ code: 'CWM-2009' });
    });
    await memory.makeDirectory(folder);
    await eventually(async () => {
      await vi.advanceTimersByTimeAsync(1000);
      expect(await peer.read(sessionId('s1'))).not.toBeNull();
    });
    sync.close();
  });

  it('does nothing with an interval of 0, and nothing after it was closed', async () => {
    const never = await syncing(0);
    expect(vi.getTimerCount()).toBe(0);
    never.sync.close();
    const { sync } = await syncing(1000);
    sync.close();
    sync.start();
    expect(vi.getTimerCount()).toBe(0);
  });
});
