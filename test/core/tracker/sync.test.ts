import { describe, expect, it } from 'vitest';
import type { StatePeer } from '../../../src/core/ports/states.ts';
import type { Tracker } from '../../../src/core/tracker/tracker.ts';
import { CwmError, type ErrorName, errorNameOf } from '../../../src/protocol/errors.ts';
import type { Conflict } from '../../../src/core/tracker/reconcile.ts';
import { TrackerFactory } from '../../../src/core/tracker/trackerFactory.ts';
import type { ConflictPolicy, SyncDirection, SyncResult } from '../../../src/protocol/schemas/tracker.ts';
import { StateFolders } from '../../../src/store/states/stateFolders.ts';
import { aSession, nextVersion, sessionId } from '../../store/builders.ts';
import { codeOf } from '../coreFixture.ts';
import { folder, put, storeRoot, trackerFixture, type TrackerFixture } from './trackerFixture.ts';

const id = sessionId('s1');
type Side = { readonly fixture: TrackerFixture; readonly tracker: Tracker };

/** A store of its own; those of one test share the folder. */
async function side(peer?: StatePeer): Promise<Side & { run: Run; peer: StatePeer }> {
  const fixture = await trackerFixture();
  const tracker = await fixture.make();
  const shared = peer ?? fixture.peer;
  return { fixture, tracker, peer: shared, run: runner(tracker, shared) };
}
type Run = (direction?: SyncDirection, policy?: ConflictPolicy) => Promise<SyncResult>;
const runner =
  (tracker: Tracker, peer: StatePeer): Run =>
  (direction = 'sync', policy = 'manual') =>
    tracker.sync(peer, direction, policy);

/** Two sides that agreed on `{ n: 0 }`. */
async function agreed(): Promise<[Awaited<ReturnType<typeof side>>, Awaited<ReturnType<typeof side>>]> {
  const a = await side();
  const b = await side(a.peer);
  await put(a.tracker, 1, { n: 0 });
  await a.run();
  await b.run();
  return [a, b];
}

const set = async ({ tracker, fixture }: Side, data: object): Promise<void> => {
  fixture.clock.advance(1000);
  await put(tracker, (await tracker.getState()).version + 1, data);
};

describe('S3-05 sync, pull and push', () => {
  it('push puts the state into the folder, pull takes it from there, and both have the same', async () => {
    const a = await side();
    const b = await side(a.peer);
    await put(a.tracker, 1, { n: 1 });
    const state = await put(a.tracker, 2, { n: 2 }, { by: 'a' });
    expect(await a.run('push')).toEqual({
      state: { ...state, synchronized: true },
      pulled: false,
      pushed: true,
      conflict: false,
    });
    expect(await b.run('pull')).toEqual({
      state: { ...state, synchronized: true },
      pulled: true,
      pushed: false,
      conflict: false,
    });
    expect(await b.run('pull')).toMatchObject({ pulled: false, pushed: false });
    await set(b, { n: 3 });
    expect(await b.tracker.getState()).toMatchObject({ version: 3, synchronized: false });
  });

  it('a side that changed nothing takes what the other has, under every policy, again and again', async () => {
    const [a, b] = await agreed();
    for (let n = 1; n <= 4; n++) {
      const [from, to] = n % 2 === 0 ? [a, b] : [b, a];
      await set(from, { n });
      expect(await from.run('sync', 'manual')).toMatchObject({ pushed: true, pulled: false, conflict: false });
      expect(await to.run('sync', 'keep-oldest')).toMatchObject({ pulled: true, pushed: false, conflict: false });
      expect((await to.tracker.getState()).data).toEqual({ n });
    }
  });

  it.each<[ConflictPolicy, object, object]>([
    ['keep-latest', { n: 2, b: 1 }, { by: 'keep-latest' }],
    ['keep-oldest', { n: 1, a: 1 }, { by: 'keep-oldest' }],
    ['merge', { n: 2, a: 1, b: 1 }, { by: 'merge' }],
  ])('%s: both sides end with the same state', async (policy, data) => {
    const [a, b] = await agreed();
    await set(a, { n: 1, a: 1 });
    b.fixture.clock.advance(5000);
    await set(b, { n: 2, b: 1 });
    await a.run('push');
    expect(await b.run('sync', policy)).toMatchObject({ conflict: true, state: { data, synchronized: true } });
    await a.run('sync', 'manual');
    const [ours, theirs] = [await a.tracker.getState(), await b.tracker.getState()];
    expect(ours.data).toEqual(data);
    expect({ ...ours, version: 0, lastUpdated: '' }).toEqual({ ...theirs, version: 0, lastUpdated: '' });
    expect(await a.run()).toMatchObject({ pulled: false, pushed: false });
    expect(await b.run()).toMatchObject({ pulled: false, pushed: false });
  });

  it('S1-05 S3-05 a policy that is made outside decides once it is named; a name that nobody has is refused with those that there are', async () => {
    const [a, b] = await agreed();
    await set(a, { n: 1 });
    await a.run('push');
    await set(b, { n: 2 });
    const sum = ({ latest, oldest }: Conflict) => ({
      data: { n: Number(latest.data['n']) + Number(oldest.data['n']) },
      metadata: {},
    });
    const made = await new TrackerFactory({ ...b.fixture.parts, resolvers: { sum } }).create(id);
    if (made instanceof CwmError) throw made;
    expect(await made.sync(b.peer, 'sync', 'sum')).toMatchObject({ conflict: true, state: { data: { n: 3 } } });
    await expect(made.sync(b.peer, 'sync', 'product')).rejects.toMatchObject({
      name: 'InvalidParameter',
      hint: 'Choose one of keep-latest, keep-oldest, merge, manual, sum.',
    });
  });

  it('S3-07 SyncError: manual refuses with CWM-3107 that lists both, and changes neither', async () => {
    const [a, b] = await agreed();
    await set(a, { n: 1 });
    await a.run('push');
    await set(b, { n: 2 });
    const before = await b.tracker.getState();
    for (const direction of ['sync', 'pull', 'push'] as const) {
      await expect(b.run(direction, 'manual')).rejects.toMatchObject({
        code: 'CWM-3107',
        context: { local: { data: { n: 2 } }, peer: { data: { n: 1 } } },
      });
    }
    expect(await b.tracker.getState()).toEqual(before);
    expect(await a.peer.read(id)).toMatchObject({ data: { n: 1 } });
  });

  it('pull changes the session alone and push the folder alone, also when both were changed', async () => {
    const [a, b] = await agreed();
    await set(a, { n: 0, a: 1 });
    await a.run('push');
    await set(b, { n: 0, b: 1 });
    expect(await b.run('pull', 'merge')).toMatchObject({ pulled: true, state: { data: { n: 0, a: 1, b: 1 } } });
    expect(await a.peer.read(id)).toMatchObject({ data: { n: 0, a: 1 } });
    expect(await b.run('push', 'manual'), 'what was pulled is agreed on').toMatchObject({
      pushed: true,
      conflict: false,
    });
    expect(await a.peer.read(id)).toMatchObject({ data: { n: 0, a: 1, b: 1 } });
    await set(a, { n: 0, a: 2 });
    expect(await a.run('push', 'merge')).toMatchObject({
      pushed: true,
      pulled: false,
      state: { data: { n: 0, a: 2 } },
    });
    expect(await a.peer.read(id)).toMatchObject({ data: { n: 0, a: 2, b: 1 } });
  });

  it('a state that a pull replaced can be restored', async () => {
    const [a, b] = await agreed();
    await set(a, { n: 1 });
    await a.run();
    await b.run();
    const { items } = await b.tracker.recoveryPoints();
    expect(items[0]).toMatchObject({ reason: 'update', version: 1 });
  });

  it('a folder is the same one however its path is written', async () => {
    const [a] = await agreed();
    const folders = new StateFolders(a.fixture.memory);
    for (const path of [`${folder}/`, `${folder}/../shared//`]) expect(folders.open(path).location).toBe(folder);
  });

  it('a folder that lost its files gets the state again', async () => {
    const [a] = await agreed();
    await a.fixture.memory.removeTree(folder);
    await a.fixture.memory.makeDirectory(folder);
    expect(await a.run('pull')).toMatchObject({ pulled: false, pushed: false, state: { data: { n: 0 } } });
    expect(await a.run('sync')).toMatchObject({ pushed: true });
    expect(await a.peer.read(id)).toMatchObject({ data: { n: 0 } });
  });

  it('with a folder that the session was never synchronised with, a state on both sides is a conflict', async () => {
    const [a, b] = await agreed();
    await set(b, { n: 1 });
    const elsewhere = b.tracker.sync({ ...a.peer, location: '/mnt/another' }, 'sync', 'manual');
    expect(await codeOf(elsewhere)).toBe('CWM-3107');
  });

  it.each(['CWM-4001', 'CWM-4003'] as const)(
    'a session that could not be written (%s) keeps its state, and the next time takes it from the folder',
    async (code) => {
      const [a, b] = await agreed();
      await set(a, { n: 0, a: 1 });
      await a.run();
      await set(b, { n: 0, b: 1 });
      const before = await b.tracker.getState();
      const fail = b.fixture.faulty;
      fail.heal();
      // After the recovery point, so that the folder has been written by then.
      const states = b.fixture.store.states;
      const save = states.save.bind(states);
      states.save = () => Promise.reject(new CwmError(errorNameOf(code) as ErrorName, 'The disk is not well.'));
      expect(await codeOf(b.run('sync', 'merge'))).toBe(code);
      expect(await b.tracker.getState()).toEqual(before);
      states.save = save;
      expect(await b.run('sync', 'merge')).toMatchObject({ state: { data: { n: 0, a: 1, b: 1 } } });
    },
  );

  it('S3-07 SyncError: a peer that fails is CWM-4102, and the session keeps its state', async () => {
    const [a] = await agreed();
    await set(a, { n: 1 });
    const before = await a.tracker.getState();
    const broken: StatePeer = {
      location: folder,
      read: (session) => a.peer.read(session),
      write: () => Promise.reject(new CwmError('SyncFailed', 'It is away.')),
    };
    expect(await codeOf(runner(a.tracker, broken)())).toBe('CWM-4102');
    expect(await a.tracker.getState()).toEqual(before);
  });

  it('tries again when another client writes first, and gives up when that never ends', async () => {
    const [a] = await agreed();
    await set(a, { n: 1, a: 1 });
    let overtakings = 2;
    const busy: StatePeer = {
      location: folder,
      read: (session) => a.peer.read(session),
      write: async (session, next, fromVersion) => {
        if (overtakings-- > 0) {
          const theirs = { ...next, data: { n: 0, other: overtakings }, version: fromVersion + 1 };
          await a.peer.write(session, theirs, fromVersion);
        }
        await a.peer.write(session, next, fromVersion);
      },
    };
    expect(await runner(a.tracker, busy)('sync', 'merge')).toMatchObject({ state: { data: { n: 1, a: 1, other: 0 } } });
    await set(a, { n: 2, a: 2 });
    overtakings = 1000;
    expect(await codeOf(runner(a.tracker, busy)('sync', 'merge'))).toBe('CWM-4102');
  });

  it('S3-06 a state in the folder that is not valid is never stored', async () => {
    const [a] = await agreed();
    await a.peer.write(id, { version: 2, lastUpdated: '2027-01-01', data: { n: 1 }, metadata: { n: 5 } }, 1);
    expect(await codeOf(a.run())).toBe('CWM-1103');
    expect((await a.tracker.getState()).data).toEqual({ n: 0 });
  });

  it('a frozen session takes nothing from the folder, and can still be pushed', async () => {
    const [a, b] = await agreed();
    await set(a, { n: 1 });
    await a.run();
    await b.fixture.store.sessions.update(nextVersion(aSession(), { lifecycle: 'frozen', frozenAs: 'w' }));
    expect(await codeOf(b.run())).toBe('CWM-3002');
    expect((await b.tracker.getState()).data).toEqual({ n: 0 });
    expect(await b.run('push')).toMatchObject({ pushed: false });
  });
});

describe('S3-05 folders', () => {
  const state = (n: number) => ({ version: n, lastUpdated: '2026-01-01', data: { n }, metadata: {} });

  it('of many that replace the same version, exactly one succeeds', async () => {
    const { peer, memory } = await trackerFixture();
    await peer.write(id, state(1), 0);
    // With versions of their own: a store of its own is further on or behind.
    const outcomes = await Promise.all(
      Array.from({ length: 20 }, (_, n) => codeOf(peer.write(id, { ...state(n + 2), data: { writer: n } }, 1))),
    );
    expect(outcomes.filter((code) => code === 'no error')).toHaveLength(1);
    expect(new Set(outcomes)).toEqual(new Set(['no error', 'CWM-3103']));
    const winner = outcomes.indexOf('no error');
    expect(await peer.read(id)).toMatchObject({ data: { writer: winner } });
    expect(await memory.list(folder)).toHaveLength(1);
  });

  it('a writer that was too slow does not take a name that is free again', async () => {
    const { peer } = await trackerFixture();
    await peer.write(id, state(1), 0);
    await peer.write(id, state(2), 1);
    expect(await codeOf(peer.write(id, state(9), 0))).toBe('CWM-3103');
    expect(await peer.read(id)).toEqual(state(2));
  });

  it('replacing a version that the folder never had is a conflict', async () => {
    const { peer } = await trackerFixture();
    await peer.write(id, state(1), 0);
    expect(await codeOf(peer.write(id, state(9), 8))).toBe('CWM-3103');
    expect(await peer.read(id)).toEqual(state(1));
  });

  it('a writer that is overtaken twice between reading and writing gets a conflict, though the name is free by then', async () => {
    const { peer, memory } = await trackerFixture();
    await peer.write(id, state(1), 0);
    const slow = new StateFolders(
      Object.assign({}, memory, {
        create: async (path: string, bytes: Uint8Array) => {
          await peer.write(id, state(2), 1);
          await peer.write(id, state(3), 2);
          await memory.create(path, bytes);
        },
      }),
    ).open(folder);
    expect(await codeOf(slow.write(id, { ...state(9), data: { lost: true } }, 1))).toBe('CWM-3103');
    expect(await peer.read(id)).toEqual(state(3));
    expect(await memory.list(folder)).toHaveLength(1);
  });

  it('a damaged file, one that is too large and one of another session are CWM-4102, and stay', async () => {
    const { peer, memory } = await trackerFixture();
    await peer.write(id, state(1), 0);
    const [name] = await memory.list(folder);
    const whole = await memory.read(`${folder}/${name}`);
    for (const bytes of [
      new Uint8Array(9_000_000),
      whole.slice(0, -3),
      whole.map((byte, at) => byte ^ (at === 99 ? 1 : 0)),
    ]) {
      await memory.remove(`${folder}/${name}`);
      await memory.create(`${folder}/${name}`, bytes);
      expect(await codeOf(peer.read(id))).toBe('CWM-4102');
    }
    await memory.remove(`${folder}/${name}`);
    await memory.create(`${folder}/state-s2-0000000000000000.json`, whole);
    expect(await codeOf(peer.read(sessionId('s2')))).toBe('CWM-4102');
    expect(await memory.list(folder)).toHaveLength(1);
  });

  it('that are none, not given by their whole path, or do not answer', async () => {
    const { memory } = await trackerFixture();
    const folders = new StateFolders(memory);
    expect(await codeOf(folders.open('/mnt/none').read(id))).toBe('CWM-2009');
    expect(() => folders.open('shared')).toThrow(expect.objectContaining({ code: 'CWM-1003' }) as Error);
    const hanging = Object.assign({}, memory, { list: () => new Promise<never>(() => undefined) });
    expect(await codeOf(new StateFolders(hanging, 1).open(folder).read(id))).toBe('CWM-4102');
  });

  it('works also without hard links', async () => {
    const { memory } = await trackerFixture();
    const refuse = () => Promise.reject(Object.assign(new Error('no links here'), { code: 'EPERM' }));
    const peer = new StateFolders(Object.assign({}, memory, { link: refuse })).open(folder);
    await peer.write(id, state(1), 0);
    await peer.write(id, state(2), 1);
    expect(await codeOf(peer.write(id, state(3), 1))).toBe('CWM-3103');
    expect(await peer.read(id)).toEqual(state(2));
  });

  it('what a session has of its own is not in the folder, and nothing of the folder in the store', async () => {
    const [a] = await agreed();
    const [name] = await a.fixture.memory.list(folder);
    expect(name).toBe('state-s1-0000000000000000.json');
    expect(Object.keys(a.fixture.memory.tree(storeRoot)).filter((path) => path.includes('state-'))).toEqual([]);
  });
});
