import { describe, expect, it } from 'vitest';
import type { Tracker } from '../../../src/core/tracker/tracker.ts';
import type { RecoveryStrategy } from '../../../src/core/tracker/selectPoint.ts';
import { CwmError } from '../../../src/protocol/errors.ts';
import type { RestoreResult } from '../../../src/protocol/schemas/tracker.ts';
import { encodeRecord } from '../../../src/store/disk/record.ts';
import {
  aMessage,
  aSession,
  aState,
  contextTokens,
  mainBranch,
  nextVersion,
  sessionId,
  someIds,
} from '../../store/builders.ts';
import { codeOf } from '../coreFixture.ts';
import { put, storeRoot, trackerFixture, type TrackerFixture } from './trackerFixture.ts';

const id = sessionId('s1');
const recoveryPath = `${storeRoot}/contexts/s1/recovery`;

async function restore(
  { store }: TrackerFixture,
  tracker: Tracker,
  strategy: RecoveryStrategy = { by: 'latest-version' },
): Promise<RestoreResult> {
  return tracker.restore(strategy, (await store.sessions.get(id))!);
}

/** Versions 1 to `last`, a minute apart, each with a recovery point of the one before. */
async function updated(fixture: TrackerFixture, last: number, config = {}): Promise<Tracker> {
  const tracker = await fixture.make('s1', { coalesceMs: 0, ...config });
  for (let version = 1; version <= last; version++) {
    await put(tracker, version, { n: version }, { by: `v${version}` });
    fixture.clock.advance(60_000);
  }
  return tracker;
}

const versions = async (tracker: Tracker): Promise<number[]> =>
  (await tracker.recoveryPoints()).items.map(({ version }) => version);

/** Flips a byte of the recovery point with this version of the state. */
async function damage({ memory }: TrackerFixture, tracker: Tracker, version: number): Promise<string> {
  const point = (await tracker.recoveryPoints()).items.find((each) => each.version === version);
  const name = (await memory.list(recoveryPath)).find((each) => each.endsWith(`-${point?.id}.json`));
  (await memory.read(`${recoveryPath}/${name}`))[100]! ^= 1;
  return point!.id;
}

describe('S3-08 recovery points', () => {
  it('are made before each update, hold what it replaces, and survive a restart', async () => {
    const fixture = await trackerFixture();
    const tracker = await updated(fixture, 3);
    const { items: points } = await tracker.recoveryPoints();
    expect(points).toMatchObject([
      { version: 2, reason: 'update', session: 's1', at: '2026-03-01T10:02:00.000Z' },
      { version: 1, reason: 'update' },
    ]);
    await fixture.store.close();
    expect(await (await (await trackerFixture(fixture.memory)).make()).recoveryPoints()).toEqual({
      items: points,
      damaged: [],
    });
  });

  it('are one for a burst of updates: what was there before the first of it', async () => {
    const fixture = await trackerFixture();
    const tracker = await fixture.make('s1', { coalesceMs: 60_000 });
    const advance = [0, 61_000, 0, 59_999, 1, 0];
    for (const [at, ms] of advance.entries()) {
      fixture.clock.advance(ms);
      await put(tracker, at + 1, { n: at + 1 });
    }
    // Before 2 at 61 s, before 5 at 121 s; the first one had nothing to keep.
    expect(await versions(tracker)).toEqual([4, 1]);
    fixture.clock.advance(-10_000_000);
    await put(tracker, advance.length + 1, {});
    expect(await versions(tracker), 'a clock that was set back holds up none').toEqual([6, 4, 1]);
  });

  it('S3-09 are ten at most, the oldest go, and none stays behind on the disk', async () => {
    const fixture = await trackerFixture();
    const tracker = await updated(fixture, 25);
    expect(await versions(tracker)).toEqual([24, 23, 22, 21, 20, 19, 18, 17, 16, 15]);
    expect(await fixture.memory.list(recoveryPath)).toHaveLength(10);
  });

  it('are made on request too', async () => {
    const fixture = await trackerFixture();
    const tracker = await updated(fixture, 1);
    const made = await tracker.createRecoveryPoint();
    expect(made).toMatchObject({ version: 1, reason: 'request' });
    expect(await tracker.recoveryPoints()).toEqual({ items: [made], damaged: [] });
  });
});

describe('S3-08 restore', () => {
  const choices: [name: string, strategy: RecoveryStrategy, version: number][] = [
    ['latest version', { by: 'latest-version' }, 4],
    ['exact version', { by: 'version', version: 2 }, 2],
    ['latest that is not after a time', { by: 'time', at: '2026-03-01T10:03:59.999Z' }, 3],
    ['the very time', { by: 'time', at: '2026-03-01T10:04:00.000Z' }, 4],
    ['by id', { by: 'id', id: '00000001' }, 1],
    ['custom', { by: 'custom', select: (points) => points.find(({ state }) => state.data['n'] === 3) ?? null }, 3],
  ];

  it.each(choices)('%s: the state equals it, with its metadata', async (_, strategy, version) => {
    const fixture = await trackerFixture();
    const tracker = await updated(fixture, 5);
    const { restored, state, undo, damaged } = await restore(fixture, tracker, strategy);
    expect({ restored, damaged }).toMatchObject({ restored: { version }, damaged: [] });
    expect(state).toMatchObject({ version: 6, data: { n: version }, metadata: { by: `v${version}` } });
    expect(await tracker.getState()).toEqual(state);
    expect((await tracker.recoveryPoints()).items[0]).toMatchObject({ id: undo, reason: 'restore', version: 5 });
    await restore(fixture, tracker, { by: 'id', id: undo! });
    expect(await tracker.getState()).toMatchObject({ version: 7, data: { n: 5 }, metadata: { by: 'v5' } });
    await fixture.store.close();
    expect(await (await (await trackerFixture(fixture.memory)).make()).getState()).toMatchObject({ version: 7 });
  });

  it('sets the conversation back too, with its token ids, and forward again', async () => {
    const fixture = await trackerFixture();
    const { store } = fixture;
    const tracker = await fixture.make();
    await store.sessions.saveTokens(id, someIds);
    await store.messages.append(id, [aMessage('m1', 1)]);
    const first = nextVersion(aSession(), { branches: mainBranch(['m1']), tokens: contextTokens(someIds) });
    await store.sessions.update(first);
    await tracker.beforeTurn(first);
    await store.messages.append(id, [aMessage('m2', 2)]);
    await store.sessions.saveTokens(id, [9, 9]);
    const second = nextVersion(first, { branches: mainBranch(['m1', 'm2']), tokens: contextTokens([9, 9]) });
    await store.sessions.update(second);
    const { undo, restored } = await restore(fixture, tracker);
    expect(restored).toMatchObject({ reason: 'turn', messages: 1, tokens: someIds.length });
    expect(await store.sessions.get(id)).toMatchObject({ branches: first.branches, tokens: first.tokens, version: 4 });
    expect(await store.sessions.loadTokens(id, contextTokens(someIds).sha256)).toEqual(someIds);
    await restore(fixture, tracker, { by: 'id', id: undo! });
    expect(await store.sessions.get(id)).toMatchObject({
      branches: second.branches,
      tokens: second.tokens,
      version: 5,
    });
    expect(await store.sessions.loadTokens(id, contextTokens([9, 9]).sha256)).toEqual([9, 9]);
    expect((await store.check.verify(new AbortController().signal)).flatMap(({ problems }) => problems)).toEqual([
      'The lineage "l1" is missing.',
    ]);
  });

  it('goes back to the oldest of ten, which its own undo point would push out, with its token ids; that can be undone', async () => {
    const fixture = await trackerFixture();
    const { store } = fixture;
    const tracker = await fixture.make();
    let session = aSession();
    const talk = async (turn: number): Promise<void> => {
      await store.sessions.saveTokens(id, [turn, turn]);
      session = nextVersion(session, { tokens: contextTokens([turn, turn]) });
      await store.sessions.update(session);
    };
    for (let turn = 1; turn <= 11; turn++) {
      await talk(turn);
      if (turn <= 10) await tracker.createRecoveryPoint();
    }
    const oldest = (await tracker.recoveryPoints()).items.at(-1)!;
    const { undo } = await restore(fixture, tracker, { by: 'id', id: oldest.id });
    expect(await store.sessions.get(id)).toMatchObject({ tokens: contextTokens([1, 1]) });
    expect(await store.sessions.loadTokens(id, contextTokens([1, 1]).sha256)).toEqual([1, 1]);
    await restore(fixture, tracker, { by: 'id', id: undo! });
    expect(await store.sessions.loadTokens(id, contextTokens([11, 11]).sha256)).toEqual([11, 11]);
    expect((await tracker.recoveryPoints()).items).toHaveLength(10);
    const names = (await fixture.memory.list(recoveryPath)).filter((name) => name.endsWith('.json'));
    expect(names, 'nothing stays behind').toHaveLength(10);
  });

  it('skips a damaged one for the next older, and names it', async () => {
    const fixture = await trackerFixture();
    const tracker = await updated(fixture, 5);
    const damaged = [await damage(fixture, tracker, 4), await damage(fixture, tracker, 3)];
    const result = await restore(fixture, tracker);
    expect(result).toMatchObject({ restored: { version: 2 }, state: { data: { n: 2 } }, damaged });
    expect(fixture.store.problems.map(({ movedTo }) => movedTo)).toEqual([
      expect.stringMatching(/^quarantine\//),
      expect.stringMatching(/^quarantine\//),
    ]);
  });

  it('skips one whose token ids are damaged', async () => {
    const fixture = await trackerFixture();
    const { store, memory } = fixture;
    const tracker = await updated(fixture, 2);
    await store.sessions.saveTokens(id, someIds);
    await store.sessions.update(nextVersion(aSession(), { tokens: contextTokens(someIds) }));
    const point = await tracker.createRecoveryPoint();
    const path = '/home/me/store/contexts/s1/token_log.jsonl';
    await memory.remove(path);
    await memory.create(path, new Uint8Array([1, 2, 3, 4]));
    expect(await restore(fixture, tracker)).toMatchObject({ restored: { version: 1 }, damaged: [point.id] });
  });

  it('S3-07 RecoveryError: the one that was asked for by its id is damaged, which is CWM-4101', async () => {
    const fixture = await trackerFixture();
    const tracker = await updated(fixture, 3);
    const damaged = await damage(fixture, tracker, 2);
    await expect(restore(fixture, tracker, { by: 'id', id: damaged })).rejects.toMatchObject({
      code: 'CWM-4101',
      context: { damaged: [damaged] },
    });
    expect(await tracker.getState()).toMatchObject({ version: 3 });
  });

  it('S3-07 RecoveryError: a custom choice that fails, or takes what is not there, is CWM-4101', async () => {
    const fixture = await trackerFixture();
    const tracker = await updated(fixture, 3);
    const fail = (): never => {
      throw new Error('no idea');
    };
    expect(await codeOf(restore(fixture, tracker, { by: 'custom', select: fail }))).toBe('CWM-4101');
    const forge = { by: 'custom', select: (points) => ({ ...points[0]! }) } satisfies RecoveryStrategy;
    expect(await codeOf(restore(fixture, tracker, forge))).toBe('CWM-4101');
  });

  it.each<[RecoveryStrategy]>([
    [{ by: 'version', version: 9 }],
    [{ by: 'id', id: 'ffffffff' }],
    [{ by: 'time', at: '2020-01-01T00:00:00.000Z' }],
    [{ by: 'custom', select: () => null }],
  ])('S3-07 SnapshotNotFound: none that fits is CWM-2004 (%o)', async (strategy) => {
    const fixture = await trackerFixture();
    const tracker = await updated(fixture, 3);
    expect(await codeOf(restore(fixture, tracker, strategy))).toBe('CWM-2004');
    expect(await versions(tracker)).toEqual([2, 1]);
  });

  it('S3-07 NoValidSnapshot: none at all, or only damaged ones, is CWM-2005', async () => {
    const fixture = await trackerFixture();
    const tracker = await updated(fixture, 1);
    expect(await codeOf(restore(fixture, tracker))).toBe('CWM-2005');
    await put(tracker, 2, {});
    await put(tracker, 3, {});
    const damaged = [await damage(fixture, tracker, 2), await damage(fixture, tracker, 1)];
    await expect(restore(fixture, tracker)).rejects.toMatchObject({ code: 'CWM-2005', context: { damaged } });
    expect(await tracker.getState()).toMatchObject({ version: 3 });
  });

  it('brings a state back that was damaged, with a version that no client has seen', async () => {
    const fixture = await trackerFixture();
    await updated(fixture, 5);
    (await fixture.memory.read(`${storeRoot}/contexts/s1/state/current.json`))[100]! ^= 1;
    const tracker = await fixture.make();
    for (let attempt = 0; attempt < 2; attempt++) expect(await codeOf(tracker.getState())).toBe('CWM-4004');
    expect(await tracker.isValid()).toBe(false);
    expect(await codeOf(put(tracker, 1, {})), 'it is not taken for one that never was').toBe('CWM-4004');
    await tracker.beforeTurn((await fixture.store.sessions.get(id))!);
    const { state, undo } = await restore(fixture, tracker);
    expect(state).toMatchObject({ version: 1_000_004, data: { n: 4 }, metadata: { by: 'v4' } });
    expect(undo).toBeNull();
    expect(await tracker.isValid()).toBe(true);
  });

  it('leaves alone what another version wrote, which holds up no turn', async () => {
    const fixture = await trackerFixture();
    const { memory, store } = fixture;
    await updated(fixture, 3);
    const later = Uint8Array.from(encodeRecord({ from: 'the future' }, 2));
    const [point] = (await memory.list(recoveryPath)).sort().reverse();
    for (const path of [`${recoveryPath}/${point}`, `${storeRoot}/contexts/s1/state/current.json`]) {
      await memory.remove(path);
      await memory.create(path, later);
    }
    const tracker = await fixture.make();
    await tracker.beforeTurn((await store.sessions.get(id))!);
    expect(await codeOf(tracker.getState())).toBe('CWM-1004');
    expect(await codeOf(restore(fixture, tracker))).toBe('CWM-1004');
    expect(await tracker.recoveryPoints()).toMatchObject({ items: [{ version: 1 }], damaged: ['00000002'] });
    expect(await memory.read(`${recoveryPath}/${point}`)).toEqual(later);
    expect(await memory.read(`${storeRoot}/contexts/s1/state/current.json`)).toEqual(later);
  });

  it.each([
    ['whose token ids are gone', { tokens: contextTokens(someIds) }, 3],
    ['of a session that went on', { version: 1 }, 3],
    ['of a state that went on', {}, 1],
  ])('left by a failure, %s, is over at the next start', async (_, changed, fromVersion) => {
    const fixture = await trackerFixture();
    const before = await (await updated(fixture, 3)).getState();
    await fixture.store.close();
    const session = nextVersion(aSession(), { prefixBreaks: 7, ...changed });
    const intent = {
      session: { ...session, ...changed },
      state: { ...aState(), version: fromVersion + 1 },
      fromVersion,
    };
    await fixture.memory.create(`${storeRoot}/intents/restore-s1.json`, encodeRecord(intent));
    const again = await trackerFixture(fixture.memory);
    expect(await (await again.make()).getState()).toEqual(before);
    expect(await again.store.sessions.get(id)).toEqual(aSession());
    expect(await fixture.memory.list(`${storeRoot}/intents`)).toEqual([]);
  });

  it('that the disk refuses changes nothing', async () => {
    const fixture = await trackerFixture();
    const tracker = await updated(fixture, 3);
    const before = [await tracker.getState(), await fixture.store.sessions.get(id)];
    for (let at = 0; at < 12; at++) {
      fixture.faulty.heal();
      fixture.faulty.failAt(at, 'before', 'EIO');
      const error = await restore(fixture, tracker).catch((thrown: unknown) => thrown);
      fixture.faulty.heal();
      if (!(error instanceof CwmError)) return;
      expect([await tracker.getState(), await fixture.store.sessions.get(id)], `change ${at}`).toEqual(before);
    }
    expect.unreachable('A restore has fewer changes than that.');
  });
});
