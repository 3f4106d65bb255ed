import { describe, expect, it } from 'vitest';
import { emptyState } from '../../../src/core/tracker/state.ts';
import { CwmError } from '../../../src/protocol/errors.ts';
import { sessionId } from '../../store/builders.ts';
import { put, trackerFixture, updateWith } from './trackerFixture.ts';
import { fc } from '../../support/fc.ts';

const times = <T>(count: number, make: (at: number) => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: count }, (_, at) => make(at)));
const counted = (data: object): number => (data as { count?: number }).count ?? 0;

describe('S3-11 many at once', () => {
  it('50 sessions are made and have their states', async () => {
    const { addSession, trackers, store } = await trackerFixture();
    const all = trackers();
    await times(50, async (n) => {
      await addSession(`c${n}`);
      await all.use(sessionId(`c${n}`), (tracker) => put(tracker, 1, { n }));
    });
    const stored = await times(50, (n) => store.states.load(sessionId(`c${n}`)));
    expect(stored.map((state) => state?.data)).toEqual(Array.from({ length: 50 }, (_, n) => ({ n })));
  });

  it('20 updates of one session are all stored by callers that retry, and each has a version of its own', async () => {
    const { trackers, store } = await trackerFixture();
    const all = trackers();
    const id = sessionId('s1');
    const done = await times(20, (n) =>
      all.use(id, (tracker) => updateWith(tracker, (data) => ({ ...data, [`n${n}`]: n, count: counted(data) + 1 }))),
    );
    expect(done.map(({ version }) => version).sort((a, b) => a - b)).toEqual(
      Array.from({ length: 20 }, (_, n) => n + 1),
    );
    const { data, version } = (await store.states.load(id))!;
    expect({ version, count: data['count'], names: Object.keys(data).length }).toEqual({
      version: 20,
      count: 20,
      names: 21,
    });
  });

  it('of 20 updates that name the same version exactly one is stored, and the others get a conflict', async () => {
    const { make } = await trackerFixture();
    const tracker = await make();
    const done = await Promise.allSettled(Array.from({ length: 20 }, (_, n) => put(tracker, 1, { n })));
    const kept = done.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
    const refused = done.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason as CwmError] : []));
    expect(kept).toHaveLength(1);
    expect(new Set(refused.map(({ code }) => code))).toEqual(new Set(['CWM-3103']));
    expect(await tracker.getState()).toEqual(kept[0]);
  });

  it('100 reads and updates over 10 sessions mix nothing up, also when trackers leave the memory all the time', async () => {
    const { addSession, trackers, store } = await trackerFixture();
    const all = trackers({ maxLoaded: 3 });
    const ids = Array.from({ length: 10 }, (_, n) => sessionId(`c${n}`));
    for (const id of ids) await addSession(id);
    await times(100, (n) =>
      all.use(ids[n % 10]!, async (tracker) => {
        if (n % 20 < 10) await tracker.getState();
        else await updateWith(tracker, (data) => ({ owner: tracker.session, count: counted(data) + 1 }));
      }),
    );
    for (const id of ids) {
      expect(await store.states.load(id)).toMatchObject({ version: 5, data: { owner: id, count: 5 } });
    }
    expect(all.loadedCount).toBe(3);
  });

  it('20 recovery points during 20 updates: ten whole ones stay, and every update is stored', async () => {
    const { make } = await trackerFixture();
    const tracker = await make();
    await put(tracker, 1, { count: 0 });
    await Promise.all([
      times(20, () => tracker.createRecoveryPoint()),
      times(20, () => updateWith(tracker, (data) => ({ count: counted(data) + 1 }))),
    ]);
    expect(await tracker.getState()).toMatchObject({ version: 21, data: { count: 20 } });
    const { items, damaged } = await tracker.recoveryPoints();
    expect(items).toHaveLength(10);
    expect(damaged).toEqual([]);
    expect(new Set(items.map(({ id }) => id)).size).toBe(10);
  });

  it('every history of callers is one after another: what was acknowledged is there in the order of its versions', async () => {
    const operation = fc.record({
      caller: fc.nat(3),
      kind: fc.constantFrom('update', 'update', 'read', 'point', 'unload', 'fail'),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(operation, { maxLength: 30 }), fc.scheduler(), async (operations, scheduler) => {
        const { addSession, trackers, store, faulty } = await trackerFixture();
        await addSession('other');
        const all = trackers({ coalesceMs: 0, maxLoaded: 1 });
        const id = sessionId('s1');
        const callers = [0, 1, 2, 3].map((caller) => operations.filter((each) => each.caller === caller));
        const acknowledged = new Map<number, string>();
        let failed = 0;
        const run = async (caller: number): Promise<void> => {
          let seen = 0;
          for (const [at, { kind }] of (callers[caller] ?? []).entries()) {
            const stamp = `${caller}.${at}`;
            if (kind === 'unload') await all.use(sessionId('other'), async () => undefined);
            if (kind === 'fail') faulty.failAt(faulty.seen.length, 'before', 'EIO');
            await all.use(id, async (tracker) => {
              const before = await scheduler.schedule(Promise.resolve()).then(() => tracker.getState());
              expect(before.version, 'nobody sees less than he saw').toBeGreaterThanOrEqual(seen);
              seen = before.version;
              if (kind === 'point') await tracker.createRecoveryPoint().catch(() => failed++);
              if (kind !== 'update') return;
              await scheduler.schedule(Promise.resolve());
              try {
                const after = await put(tracker, before.version + 1, { stamp, after: before.data['stamp'] ?? null });
                expect(acknowledged.has(after.version), 'a version is given once').toBe(false);
                acknowledged.set(after.version, stamp);
                seen = after.version;
              } catch (error) {
                if (!(error instanceof CwmError) || !['CWM-3103', 'CWM-4001'].includes(error.code)) throw error;
              }
            });
          }
        };
        await scheduler.waitFor(Promise.all([0, 1, 2, 3].map(run)));
        faulty.heal();
        const { version, data } = (await store.states.load(id)) ?? emptyState('');
        expect([...acknowledged.keys()].sort((a, b) => a - b)).toEqual(
          Array.from({ length: version }, (_, n) => n + 1),
        );
        expect(data['stamp']).toBe(acknowledged.get(version));
        expect(data['after'] ?? undefined).toBe(acknowledged.get(version - 1));
        await store.close();
      }),
      { numRuns: 60 },
    );
  });
});
