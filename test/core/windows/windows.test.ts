import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { describe, expect, test, vi } from 'vitest';
import { MemoryFiles } from '../../store/memoryFiles.ts';
import { silent } from '../../../src/core/ports/reporter.ts';
import { codeOf, coreFixture, never, savedWindow, talkedSession } from '../coreFixture.ts';
import { windowName } from '../../support/ids.ts';
import { eventually } from '../../support/eventually.ts';

describe('clone', () => {
  test('S0-11 S1-34 shares every block, copies none, and knows its parent', async () => {
    const fixture = await coreFixture();
    await savedWindow(fixture);
    const blocks = fixture.engine.diskBlocks;
    fixture.engine.calls = [];
    const receipt = await fixture.cwm.clone({ window: 'w', target: 'c' }, never());
    expect(receipt).toMatchObject({ operation: 'clone', window: 'c', verdict: null, kvBytesWritten: 0 });
    expect(fixture.engine.calls).toEqual([]);
    expect(fixture.engine.diskBlocks).toBe(blocks);
    expect((await fixture.cwm.getWindow({ window: 'c' })).lineageWindows).toEqual(['w', 'c']);
    fixture.engine.restart();
    expect((await fixture.cwm.thaw({ window: 'c' }, never())).verdict).toBe('proven');
  });

  test('a taken name and an unknown source are refused', async () => {
    const fixture = await coreFixture();
    await savedWindow(fixture);
    expect(await codeOf(fixture.cwm.clone({ window: 'w', target: 'w' }, never()))).toBe('CWM-3003');
    expect(await codeOf(fixture.cwm.clone({ window: 'x', target: 'c' }, never()))).toBe('CWM-2002');
  });
});

test('S0-10 a window lists its blocks to who asks for them', async () => {
  const fixture = await coreFixture();
  await savedWindow(fixture);
  const reading = vi.spyOn(fixture.store.windows, 'loadKv');
  expect(await fixture.cwm.getWindow({ window: 'w' })).not.toHaveProperty('blocks');
  expect(reading, 'a list that nobody asked for').not.toHaveBeenCalled();
  const { blocks } = await fixture.cwm.getWindow({ window: 'w', blocks: true });
  expect(blocks).toHaveLength(fixture.engine.diskBlocks);
  expect(Object.keys(blocks?.[0] ?? {})).toEqual(['hash', 'sizeBytes', 'checksum']);
});

describe('delete', () => {
  test('S0-12 blocks that a clone still has stay; the last one to go frees them', async () => {
    const fixture = await coreFixture();
    await talkedSession(fixture);
    await fixture.cwm.freeze({ session: 's', window: 'w' }, never());
    await fixture.cwm.clone({ window: 'w', target: 'c' }, never());
    const blocks = fixture.engine.diskBlocks;
    expect(await fixture.cwm.deleteWindow({ window: 'w' }, never())).toMatchObject({
      blocksDeleted: 0,
      blocksKept: blocks,
    });
    expect(fixture.engine.diskBlocks).toBe(blocks);
    expect(await fixture.cwm.deleteWindow({ window: 'c' }, never())).toMatchObject({
      blocksDeleted: blocks,
      blocksKept: 0,
    });
    expect(fixture.engine.diskBlocks).toBe(0);
  });

  test('S0-12 the handle of two clones is deleted with the last of them, also when no block was ever seen', async () => {
    const fixture = await coreFixture();
    const { cwm, engine } = fixture;
    engine.filesAreElsewhere = true;
    engine.handle = 'one file';
    await talkedSession(fixture);
    await cwm.freeze({ session: 's', window: 'w' }, never());
    await cwm.clone({ window: 'w', target: 'c' }, never());
    await cwm.deleteWindow({ window: 'w' }, never());
    expect(engine.forgottenHandles).toEqual([]);
    await cwm.deleteWindow({ window: 'c' }, never());
    expect(engine.forgottenHandles).toEqual(['one file']);
  });

  test('blocks that the running session needs stay', async () => {
    const fixture = await coreFixture();
    await savedWindow(fixture);
    const blocks = fixture.engine.diskBlocks;
    await fixture.cwm.deleteWindow({ window: 'w' }, never());
    expect(fixture.engine.diskBlocks).toBe(blocks);
  });

  test('a window goes also when its engine is down; its blocks stay as cache', async () => {
    const fixture = await coreFixture();
    await savedWindow(fixture);
    fixture.engine.fault = 'EngineUnavailable';
    expect(await fixture.cwm.deleteWindow({ window: 'w' }, never())).toMatchObject({ blocksDeleted: 0 });
    expect((await fixture.cwm.listWindows({})).total).toBe(0);
  });

  test('EC-031 a session with windows is refused unless they go with it', async () => {
    const fixture = await coreFixture();
    await savedWindow(fixture);
    expect(await codeOf(fixture.cwm.deleteSession({ session: 's' }, never()))).toBe('CWM-3001');
    expect(await fixture.cwm.deleteSession({ session: 's', cascade: 'true' }, never())).toMatchObject({
      deletedWindows: ['w'],
      kvBytesFreed: expect.any(Number),
    });
    expect((await fixture.cwm.listSessions({})).total).toBe(0);
  });

  test('EC-031 a window that another client makes of a session during its deletion does not stay behind without its text', async () => {
    const fixture = await coreFixture({}, new MemoryFiles());
    await savedWindow(fixture);
    const { cwm, store } = fixture;
    let cloning: Promise<string> | undefined;
    vi.spyOn(store.windows, 'delete').mockImplementationOnce(async (name) => {
      // What the deletion has listed by now does not have it.
      cloning = codeOf(cwm.clone({ window: 'w', target: 'c' }, never()));
      await turns(100);
      return store.windows.delete(name);
    });
    const { deletedWindows } = await cwm.deleteSession({ session: 's', cascade: true }, never());
    expect(await cloning).toBe('no error');
    expect(deletedWindows).toEqual(['w', 'c']);
    expect(await store.windows.names()).toEqual([]);
  });

  test('EC-031 a window from the trash does not come back to another session that has the id of its own', async () => {
    const fixture = await coreFixture();
    const { cwm } = fixture;
    await savedWindow(fixture);
    await cwm.deleteSession({ session: 's', cascade: true }, never());
    await talkedSession(fixture);
    const { items } = await cwm.listTrash();
    const window = items.find(({ kind }) => kind === 'window')!;
    expect(await codeOf(cwm.restoreFromTrash({ item: window.id }))).toBe('CWM-2001');
    expect((await cwm.verify({}, never())).healthy).toBe(true);
    await cwm.deleteSession({ session: 's' }, never());
    await cwm.restoreFromTrash({ item: items.find(({ kind }) => kind === 'session')!.id });
    await cwm.restoreFromTrash({ item: window.id });
    expect((await cwm.verify({}, never())).healthy).toBe(true);
  });

  test('a session is deleted with its windows also when another client deletes one of them first', async () => {
    const fixture = await coreFixture();
    await savedWindow(fixture);
    const { cwm, store } = fixture;
    vi.spyOn(store.windows, 'loadKv').mockImplementationOnce(async (name) => {
      await cwm.deleteWindow({ window: 'w' }, never());
      return store.windows.loadKv(name);
    });
    expect(await cwm.deleteSession({ session: 's', cascade: true }, never())).not.toHaveProperty('deletedWindows');
    expect(await store.sessions.ids()).toEqual([]);
  });
});

describe('isolation', () => {
  test('S0-61 two sessions with the same text share nothing', async () => {
    const fixture = await coreFixture();
    await talkedSession(fixture, 'a');
    await fixture.cwm.createSession({ id: 'b' });
    const other = await fixture.cwm.send(
      { session: 'b', text: 'Please explain what a prefix cache is good for.' },
      never(),
    );
    expect(other.cachedTokens).toBe(0);
  });
});

describe('list', () => {
  test('S0-09 pages, and refuses a limit outside 1 to 100', async () => {
    const fixture = await coreFixture();
    await savedWindow(fixture);
    for (const target of ['x', 'y', 'z']) await fixture.cwm.clone({ window: 'w', target }, never());
    const page = await fixture.cwm.listWindows({ sortBy: 'name', order: 'asc', limit: 2, offset: 1 });
    expect(page).toMatchObject({ total: 4, hasMore: true });
    expect(page.items.map((window) => window.name)).toEqual(['x', 'y']);
    expect(await codeOf(fixture.cwm.listWindows({ limit: 0 }))).toBe('CWM-1003');
    expect(await codeOf(fixture.cwm.listWindows({ limit: 101 }))).toBe('CWM-1003');
    expect(await codeOf(fixture.cwm.listWindows({ createdAfter: 'yesterday-ish' }))).toBe('CWM-1003');
  });
});

describe('verify', () => {
  test('everything whole is healthy', async () => {
    const fixture = await coreFixture();
    await savedWindow(fixture);
    expect(await fixture.cwm.verify({}, never())).toMatchObject({ healthy: true });
  });

  test('damage that no stat field shows is found, because every block is read', async () => {
    const fixture = await coreFixture();
    await savedWindow(fixture);
    fixture.engine.damage(1, { silently: true });
    const { healthy, steps } = await fixture.cwm.verify({ window: 'w' }, never());
    expect(healthy).toBe(false);
    expect(steps.flatMap((step) => step.problems)).toEqual([
      expect.stringMatching(/^Window "w": 1 of \d+ KV blocks differ from the frozen ones\.$/),
    ]);
  });

  test('S0-18 a repair deletes damaged KV, and the next thaw computes it again and is proven after that', async () => {
    const fixture = await coreFixture();
    await savedWindow(fixture);
    fixture.engine.damage(1, { silently: true });
    const { healthy, repairs } = await fixture.cwm.verify({ repair: true }, never());
    expect(healthy).toBe(true);
    expect(repairs).toEqual([expect.stringMatching(/^Window "w": damaged KV was deleted/)]);
    fixture.engine.restart();
    expect(await fixture.cwm.thaw({ window: 'w' }, never())).toMatchObject({ verdict: 'partial', repair: 'none' });
    expect((await fixture.cwm.thaw({ window: 'w' }, never())).verdict).toBe('proven');
  });

  test('S0-18 a session whose record is lost is rebuilt from its messages, and continues', async () => {
    const fixture = await coreFixture();
    await savedWindow(fixture);
    const before = await fixture.cwm.listMessages({ session: 's' });
    writeFileSync(path.join(fixture.directory, 'contexts/s/metadata.json'), 'damaged');
    expect(await codeOf(fixture.cwm.getSession({ session: 's' }))).toBe('CWM-4004');
    const { repairs } = await fixture.cwm.verify({ repair: true }, never());
    expect(repairs.at(-1)).toBe('The record of session "s" was rebuilt from its 2 messages.');
    expect(await fixture.cwm.listMessages({ session: 's' })).toEqual(before);
    expect(await fixture.cwm.getSession({ session: 's' })).toMatchObject({
      title: 'Please explain what a prefix cache is good for.',
      model: { id: 'fake-model' },
    });
    expect((await fixture.cwm.send({ session: 's', text: 'And now?' }, never())).cachedTokens).toBeGreaterThan(0);
  });

  test('progress is reported step by step', async () => {
    const fixture = await coreFixture();
    await savedWindow(fixture);
    const steps: string[] = [];
    await fixture.cwm.verify({}, never(), { ...silent, progress: (step) => void steps.push(step) });
    expect(steps).toContain('messages: 0 of 1');
  });

  test('a window that is deleted during the call is no problem', async () => {
    const fixture = await coreFixture();
    await savedWindow(fixture);
    const load = vi.spyOn(fixture.store.windows, 'loadKv').mockImplementation(async (name) => {
      load.mockRestore();
      await fixture.cwm.deleteWindow({ window: 'w' }, never());
      return fixture.store.windows.loadKv(name);
    });
    const { healthy, steps } = await fixture.cwm.verify({}, never());
    expect(steps.flatMap(({ problems }) => problems)).toEqual([]);
    expect(healthy).toBe(true);
    expect(await fixture.store.windows.get(windowName('w'))).toBeNull();
  });

  test('blocks that a thaw is computing again are looked at when it is done', async () => {
    const fixture = await coreFixture();
    await savedWindow(fixture);
    const { engine, cwm } = fixture;
    engine.recomputesInexactly = true;
    engine.evict();
    const checked: string[] = [];
    const reporter = { ...silent, progress: (step: string) => void checked.push(step) };
    const isAtBlocks = (): boolean => checked.some((step) => step.startsWith('KV blocks match'));
    const verifications: ReturnType<typeof cwm.verify>[] = [];
    engine.onCall = async (call) => {
      // The blocks are there anew, and their record is not.
      if (call !== 'measure' || engine.calls.at(-2) !== 'persist' || verifications.length > 0) return;
      verifications.push(cwm.verify({}, never(), reporter));
      await eventually(() => expect(isAtBlocks()).toBe(true));
      const calls = engine.calls.length;
      await turns(2_000);
      expect(engine.calls.length).toBe(calls);
    };
    expect((await cwm.thaw({ window: 'w' }, never())).verdict).toBe('rebuilt');
    expect(await Promise.all(verifications)).toMatchObject([{ healthy: true }]);
  });

  test('lost blocks are no problem: KV is perishable', async () => {
    const fixture = await coreFixture();
    await savedWindow(fixture);
    fixture.engine.evict();
    expect(await fixture.cwm.verify({}, never())).toMatchObject({ healthy: true });
  });
});

/** Lets whatever else is under way go on: in memory it comes to its end. */
async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await setImmediate();
}
