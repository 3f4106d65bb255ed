import type { SessionId } from '../src/protocol/ids.ts';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { systemClock } from '../src/base/clock.ts';
import { makeTrackers } from '../src/core/tracker/makeTrackers.ts';
import type { Tracker } from '../src/core/tracker/tracker.ts';
import type { Trackers } from '../src/core/tracker/trackers.ts';
import { CwmError } from '../src/protocol/errors.ts';
import type { FileStore } from '../src/store/fileStore.ts';
import { openStore } from '../src/store/openStore.ts';
import { aSession } from '../test/store/builders.ts';
import { mustHold, timed, type Benchmark, type Figure } from './benchmark.ts';
import { sessionId } from '../test/support/ids.ts';

const operations = 1000;
/** One of this many operations of a task stores something; the others read. */
const readsAndUpdate = 10;

/** S3-11: the tracker under contention, with every fsync, compared with one task alone. */
export const tracker: Benchmark = {
  ids: ['N22'],
  async run(signal) {
    const storage = await mkdtemp(path.join(tmpdir(), 'cwm-bench-'));
    const store = await openStore({ directory: storage, clock: systemClock });
    try {
      const trackers = makeTrackers(store, systemClock, {}, async () => undefined);
      return [...(await together(store, trackers, signal)), ...(await manyTasks(store, trackers, signal))];
    } finally {
      await store.close();
      await rm(storage, { recursive: true, force: true });
    }
  },
};

async function together(store: FileStore, trackers: Trackers, signal: AbortSignal): Promise<Figure[]> {
  const created = await timed(() => sessions(store, 50, 'c'));
  const [first] = created.result;
  mustHold(first !== undefined && (await store.sessions.ids()).length === 50, '50 sessions are made');
  const one = await timed(() => atOnce(20, () => increment(trackers, first!, signal)));
  mustHold((await countOf(trackers, first!)) === 20, 'all 20 updates of one session are kept');

  const ten = created.result.slice(10, 20);
  const mixed = await timed(() =>
    atOnce(100, async (n) => {
      const id = ten[n % 10]!;
      if (n % 20 < 10) await trackers.use(id, (each) => each.getState());
      else await increment(trackers, id, signal);
    }),
  );
  for (const id of ten)
    mustHold((await countOf(trackers, id)) === 5, 'reads and updates over 10 sessions are not mixed up');

  const points = await timed(() =>
    atOnce(40, async (n) => {
      if (n % 2 === 0) await increment(trackers, first!, signal);
      else await trackers.use(first!, (each) => each.createRecoveryPoint());
    }),
  );
  const { items } = await trackers.use(first!, (each) => each.recoveryPoints());
  mustHold(
    items.length === 10 && (await countOf(trackers, first!)) === 40,
    '10 recovery points and all updates are kept',
  );
  return [
    figure('50 sessions made at once', created.ms, 5000),
    figure('20 updates of one session at once, all stored', one.ms, 5000),
    figure('100 reads and updates over 10 sessions at once', mixed.ms, 5000),
    figure('20 recovery points and 20 updates of one session at once', points.ms, 5000),
  ];
}

async function manyTasks(store: FileStore, trackers: Trackers, signal: AbortSignal): Promise<Figure[]> {
  const ids = await sessions(store, 64, 't');
  const perOperation = async (tasks: number): Promise<number> => {
    const before = await Promise.all(ids.map((id) => countOf(trackers, id)));
    const { ms } = await timed(() => atOnce(tasks, (task) => work(trackers, ids[task]!, signal)));
    const after = await Promise.all(ids.map((id) => countOf(trackers, id)));
    const added = after.reduce((sum, count) => sum + count, 0) - before.reduce((sum, count) => sum + count, 0);
    mustHold(added === (tasks * operations) / readsAndUpdate, 'every update of every task is kept');
    return ms / (tasks * operations);
  };
  const alone = await perOperation(1);
  const figures: Figure[] = [];
  for (const tasks of [4, 16, 32, 64]) {
    const value = await perOperation(tasks);
    figures.push({
      id: 'N22',
      what: `an operation of ${tasks} tasks × ${operations}, a tenth of them updates`,
      unit: 'ms',
      value,
      baseline: { what: 'of 1 task', value: alone },
      ratio: alone / value,
      wanted: 'no more than with 1 task',
      met: value <= alone,
      runs: tasks * operations,
    });
  }
  return figures;
}

async function work(trackers: Trackers, id: SessionId, signal: AbortSignal): Promise<void> {
  for (let done = 0; done < operations; done++) {
    if (done % readsAndUpdate === 0) await increment(trackers, id, signal);
    else await trackers.use(id, (each) => each.getState());
  }
}

/** Repeats an update until it is stored, like a caller that must not lose its change. */
async function increment(trackers: Trackers, id: SessionId, signal: AbortSignal): Promise<void> {
  for (;;) {
    signal.throwIfAborted();
    try {
      return await trackers.use(id, async (each: Tracker) => {
        const { version, data, metadata } = await each.getState();
        await each.updateState({ version: version + 1, data: { count: Number(data['count'] ?? 0) + 1 }, metadata });
      });
    } catch (error) {
      if (!(error instanceof CwmError && error.code === 'CWM-3103')) throw error;
    }
  }
}

const countOf = (trackers: Trackers, id: SessionId): Promise<number> =>
  trackers.use(id, async (each) => Number((await each.getState()).data['count'] ?? 0));

const atOnce = <T>(count: number, make: (at: number) => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: count }, (_, at) => make(at)));

async function sessions(store: FileStore, count: number, prefix: string): Promise<SessionId[]> {
  return atOnce(count, async (n) => {
    const id = sessionId(`${prefix}${n}`);
    await store.sessions.create(aSession({ id }));
    return id;
  });
}

const figure = (what: string, value: number, limitMs: number): Figure => ({
  id: 'N22',
  what,
  unit: 'ms',
  value,
  baseline: null,
  ratio: null,
  wanted: `< ${limitMs} ms`,
  met: value < limitMs,
  runs: 1,
});
