import { describe, expect, it } from 'vitest';
import { TrackerFactory } from '../../../src/core/tracker/trackerFactory.ts';
import { maxStateBytes } from '../../../src/core/tracker/validateState.ts';
import type { StateStore } from '../../../src/core/ports/states.ts';
import { CwmError } from '../../../src/protocol/errors.ts';
import { nextVersion, aSession, sessionId, startTime } from '../../store/builders.ts';
import { codeOf } from '../coreFixture.ts';
import { put, storeRoot, trackerFixture } from './trackerFixture.ts';

describe('state of a session', () => {
  it('S3-01 has a version, a time and data, and begins empty with version 0', async () => {
    const { make, clock } = await trackerFixture();
    const tracker = await make();
    expect(await tracker.getState()).toEqual({
      session: 's1',
      sessionCreatedAt: startTime,
      version: 0,
      lastUpdated: startTime,
      data: {},
      metadata: {},
      synchronized: false,
    });
    clock.advance(5000);
    const state = await put(tracker, 1, { goal: ['ice', { cold: true, none: null }] }, { by: 'me' });
    expect(state).toEqual({
      session: 's1',
      sessionCreatedAt: startTime,
      version: 1,
      lastUpdated: '2026-03-01T10:00:05.000Z',
      data: { goal: ['ice', { cold: true, none: null }] },
      metadata: { by: 'me' },
      synchronized: false,
    });
    expect(await tracker.getState()).toEqual(state);
  });

  it('S3-02 is a copy: changing what was given or got changes nothing', async () => {
    const { make } = await trackerFixture();
    const tracker = await make();
    const given = { list: [1] };
    await put(tracker, 1, given);
    given.list.push(2);
    const got = await tracker.getState();
    (got.data['list'] as number[]).push(3);
    expect((await tracker.getState()).data).toEqual({ list: [1] });
  });

  it.each([0, 1, 2, 4, 5, -1, 1.5, Number.NaN])(
    'S3-02 an update of version 2 that names %d is refused with CWM-3103 and changes nothing',
    async (version) => {
      const { make } = await trackerFixture();
      const tracker = await make();
      await put(tracker, 1, { n: 1 });
      const state = await put(tracker, 2, { n: 2 });
      await expect(put(tracker, version, { n: 3 })).rejects.toMatchObject({
        code: 'CWM-3103',
        retryable: true,
        context: { storedVersion: 2, givenVersion: version },
      });
      expect(await tracker.getState()).toEqual(state);
    },
  );

  it('S3-02 survives the process, and its time never goes back', async () => {
    const { make, memory, clock, store } = await trackerFixture();
    clock.advance(60_000);
    const state = await put(await make(), 1, { n: 1 });
    await store.close();
    const again = await trackerFixture(memory);
    const tracker = await again.make();
    expect(await tracker.getState()).toEqual(state);
    expect(again.clock.now().toISOString() < state.lastUpdated).toBe(true);
    expect((await put(tracker, 2, { n: 2 })).lastUpdated).toBe(state.lastUpdated);
  });

  it('S3-07 PersistenceError: a disk that fails is CWM-4001, and the state is what it was', async () => {
    const { make, faulty } = await trackerFixture();
    const tracker = await make();
    const state = await put(tracker, 1, { n: 1 });
    faulty.heal();
    faulty.failAt(0, 'before', 'EIO');
    expect(await codeOf(put(tracker, 2, { n: 2 }))).toBe('CWM-4001');
    faulty.heal();
    expect(await tracker.getState()).toEqual(state);
    await put(tracker, 2, { n: 2 });
  });

  it('S3-07 StateError: the state of a frozen session is refused a change with CWM-3002', async () => {
    const { make, store } = await trackerFixture();
    const tracker = await make();
    await store.sessions.update(nextVersion(aSession(), { lifecycle: 'frozen', frozenAs: 'w' }));
    expect(await codeOf(put(tracker, 1, {}))).toBe('CWM-3002');
    expect((await tracker.getState()).version).toBe(0);
  });

  it('S3-02 of a session that was deleted is CWM-2001', async () => {
    const { make, store } = await trackerFixture();
    const tracker = await make();
    await store.sessions.delete(sessionId('s1'));
    expect(await codeOf(put(tracker, 1, {}))).toBe('CWM-2001');
  });
});

describe('S3-06 validation', () => {
  const deep = (levels: number): object => (levels === 0 ? {} : { a: deep(levels - 1) });
  const invalid: [what: string, data: unknown, metadata: unknown][] = [
    ['data that is a list', [], {}],
    ['data that is nothing', null, {}],
    ['a function', { f: () => 1 }, {}],
    ['undefined', { u: undefined }, {}],
    ['NaN', { n: Number.NaN }, {}],
    ['infinity', { n: [1, Number.POSITIVE_INFINITY] }, {}],
    ['a date', { d: new Date(0) }, {}],
    ['a big integer', { n: 1n }, {}],
    ['__proto__ as a name', JSON.parse('{"a":{"__proto__":{"x":1}}}'), {}],
    ['33 levels', deep(32), {}],
    ['more than 256 KiB', { text: 'x'.repeat(maxStateBytes) }, {}],
    ['metadata that is no text', {}, { n: 1 }],
    ['metadata that is too long', {}, { n: 'x'.repeat(1001) }],
    ['65 metadata', {}, Object.fromEntries(Array.from({ length: 65 }, (_, n) => [`n${n}`, '']))],
  ];

  it.each(invalid)('S3-07 InvalidState: %s is refused with CWM-1103 and never stored', async (_, data, metadata) => {
    const { make, memory } = await trackerFixture();
    const tracker = await make();
    const before = memory.tree(storeRoot);
    const content = { data: data as object as {}, metadata: metadata as object as {} };
    expect(tracker.validateState(content)).toBe(false);
    await expect(tracker.updateState({ version: 1, ...content })).rejects.toMatchObject({
      code: 'CWM-1103',
      context: { problems: [expect.stringMatching(/\w/)] },
    });
    expect(memory.tree(storeRoot)).toEqual(before);
  });

  it('what JSON can say is valid, up to the limits', async () => {
    const { make } = await trackerFixture();
    const tracker = await make();
    const data = { ...deep(31), text: 'ü\ud800\0', n: [-1.5e300, true, null, ''], constructor: 1 };
    await put(tracker, 1, data);
    expect((await tracker.getState()).data).toEqual(data);
    expect(await tracker.isValid()).toBe(true);
  });
});

describe('S3-03 factory', () => {
  it('S3-07 NotInitialized: answers with CWM-3104 instead of throwing while there is nothing to keep states in', async () => {
    const made = await new TrackerFactory(null).create(sessionId('s1'));
    expect(made).toBeInstanceOf(CwmError);
    expect(made).toMatchObject({ code: 'CWM-3104' });
  });

  it('answers with an error for a config that makes no sense, and for a session that is not there', async () => {
    const { parts } = await trackerFixture();
    const factory = new TrackerFactory(parts, { coalesceMs: 5 });
    expect(await factory.createWithConfig(sessionId('s1'), { coalesceMs: -1 })).toMatchObject({ code: 'CWM-1101' });
    expect(await factory.create(sessionId('s9'))).toMatchObject({ code: 'CWM-2001' });
    expect(await factory.create(sessionId('s1'))).not.toBeInstanceOf(CwmError);
  });

  it('takes a fake for every collaborator', async () => {
    const saved: unknown[] = [];
    const states: Partial<StateStore> = {
      load: async () => ({ version: 7, lastUpdated: startTime, data: {}, metadata: {}, base: null }),
      recoveryPoints: async () => ({ points: [], damaged: [] }),
      addRecoveryPoint: async (point) => {
        saved.push(point);
        return { ...point, conversation: { branches: {}, activeBranch: 'main', tokens: null } };
      },
      save: async (_, next, fromVersion) => void saved.push([next, fromVersion]),
    };
    const made = await new TrackerFactory({
      states: states as StateStore,
      readSession: async () => aSession(),
      clock: { now: () => new Date('2030-01-01T00:00:00Z') },
      newPointId: () => 'deadbeef',
      validate: ({ data }) => (data['odd'] ? ['odd'] : []),
    }).create(sessionId('s1'));
    if (made instanceof CwmError) throw made;
    expect(await codeOf(put(made, 8, { odd: true }))).toBe('CWM-1103');
    await put(made, 8, { even: true });
    expect(saved).toMatchObject([
      { id: 'deadbeef', reason: 'update', state: { version: 7 } },
      [{ version: 8, data: { even: true }, lastUpdated: '2030-01-01T00:00:00.000Z' }, 7],
    ]);
  });
});
