import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import type { ParsedInput } from '../../../src/protocol/api.ts';
import type { PruneResult, Usage } from '../../../src/protocol/schemas/space.ts';
import { openStore } from '../../../src/store/openStore.ts';
import { codeOf, coreFixture, never, talkedSession, type CoreFixture } from '../coreFixture.ts';
import { fc } from '../../support/fc.ts';

const dayMs = 24 * 60 * 60 * 1000;

async function embedded(): Promise<CoreFixture> {
  const fixture = await coreFixture();
  fixture.engine.kind = 'embedded';
  return fixture;
}

const namesOf = ({ windows }: PruneResult): string[] => windows.map(({ name }) => name);
const usageOf = ({ cwm }: CoreFixture): Promise<Usage> => cwm.usage({}, never());

/** Windows `w1` to `w4`, of a session each, made a day after one another. */
async function fourWindows(): Promise<CoreFixture> {
  const fixture = await embedded();
  for (const n of [1, 2, 3, 4]) {
    fixture.clock.advance(dayMs);
    await talkedSession(fixture, `s${n}`);
    await fixture.cwm.freeze({ session: `s${n}`, window: `w${n}` }, never());
  }
  return fixture;
}

describe('prune', () => {
  test('takes windows by their last use, those not used for the longest time first, and never a pinned one', async () => {
    const { cwm, clock } = await fourWindows();
    clock.advance(dayMs / 2);
    const which = async (input: Omit<ParsedInput<'prune'>, 'dryRun'>): Promise<string[]> =>
      namesOf(await cwm.prune({ ...input, dryRun: true }, never()));
    expect(await which({ keep: 0 })).toEqual(['w1', 'w2', 'w3', 'w4']);
    expect(await which({ keep: 3 })).toEqual(['w1']);
    expect(await which({ keep: 9 })).toEqual([]);
    expect(await which({ olderThanDays: 2 })).toEqual(['w1', 'w2']);
    expect(await which({ olderThanDays: 0 })).toEqual(['w1', 'w2', 'w3', 'w4']);
    expect(await which({ olderThanDays: 1, keep: 3 })).toEqual(['w1']);
    await cwm.thaw({ window: 'w1', resume: true }, never());
    expect(await which({ keep: 2 })).toEqual(['w2', 'w3']);
    await cwm.pinWindow({ window: 'w2', pinned: true });
    expect(await which({ keep: 2 })).toEqual(['w3']);
    expect((await cwm.listWindows({})).total).toBe(4);
  });

  test('requires a condition, in valid numbers', async () => {
    const { cwm } = await coreFixture();
    for (const input of [{}, { dryRun: true }, { keep: -1 }, { olderThanDays: Number.NaN }]) {
      expect(await codeOf(cwm.prune(input, never()))).toBe('CWM-1003');
    }
  });

  test('S0-12 leaves blocks that other windows share or open sessions still need', async () => {
    const fixture = await embedded();
    const { cwm, engine } = fixture;
    await talkedSession(fixture);
    await cwm.freeze({ session: 's', window: 'w' }, never());
    await cwm.clone({ window: 'w', target: 'c' }, never());
    const blocks = engine.diskBlocks;
    expect(await cwm.prune({ keep: 1 }, never())).toMatchObject({ windows: [{ name: 'w' }], blocks: 0, bytesFreed: 0 });
    await cwm.thaw({ window: 'c', session: 't' }, never());
    expect(await cwm.prune({ keep: 0, dryRun: true }, never())).toMatchObject({ windows: [{ name: 'c' }], blocks: 0 });
    await cwm.deleteSession({ session: 't' }, never());
    const { blocks: deleted } = await cwm.prune({ keep: 0 }, never());
    expect(deleted).toBe(blocks);
    expect(engine.diskBlocks).toBe(0);
  });

  test('another engine is asked to delete what it has, and a window goes also when that engine is down', async () => {
    const fixture = await coreFixture();
    const { cwm, engine } = fixture;
    for (const name of ['one', 'two']) {
      await talkedSession(fixture, `s-${name}`);
      await cwm.freeze({ session: `s-${name}`, window: name }, never());
    }
    const blocks = engine.diskBlocks;
    expect(await cwm.prune({ keep: 1 }, never())).toMatchObject({ windows: [{ name: 'one' }], elsewhere: 1 });
    expect(engine.diskBlocks).toBe(blocks / 2);
    engine.fault = 'EngineUnavailable';
    expect(await cwm.prune({ keep: 0 }, never())).toMatchObject({ windows: [{ name: 'two' }], elsewhere: 1 });
    expect((await cwm.listWindows({})).total).toBe(0);
  });

  test('takes nothing when the days asked for reach back before any date', async () => {
    const { cwm } = await fourWindows();
    for (const olderThanDays of [1e6, Number.MAX_SAFE_INTEGER])
      expect((await cwm.prune({ olderThanDays }, never())).windows).toEqual([]);
  });

  test('leaves alone the window that is being thawed', async () => {
    const fixture = await fourWindows();
    const { cwm, engine } = fixture;
    let pruned: string[] = [];
    engine.onCall = async (call) => {
      if (call === 'measure' && pruned.length === 0) pruned = namesOf(await cwm.prune({ keep: 0 }, never()));
    };
    expect(await cwm.thaw({ window: 'w2' }, never())).toMatchObject({ verdict: 'proven' });
    expect(pruned).toEqual(['w1', 'w3', 'w4']);
    expect((await cwm.listWindows({})).items).toMatchObject([{ name: 'w2' }]);
  });

  test('a window that another client deletes during the prune, or a session that continues, is no failure', async () => {
    const fixture = await fourWindows();
    const { cwm, store } = fixture;
    await cwm.thaw({ window: 'w3', session: 'on' }, never());
    const [loadKv, loadTokens] = [store.windows.loadKv.bind(store), store.sessions.loadTokens.bind(store)];
    let reads = 0;
    store.windows.loadKv = async (name) => {
      if (name === 'w2' && ++reads === 2) await cwm.deleteWindow({ window: 'w2' }, never());
      return loadKv(name);
    };
    store.sessions.loadTokens = async (id, sha256) => {
      store.sessions.loadTokens = loadTokens;
      await cwm.send({ session: 'on', text: 'And then?' }, never());
      return loadTokens(id, sha256);
    };
    expect(namesOf(await cwm.prune({ keep: 0 }, never()))).toEqual(['w1', 'w4', 'w3']);
    expect(reads).toBeGreaterThan(1);
    expect((await cwm.send({ session: 'on', text: 'Go on.' }, never())).cachedTokens).toBeGreaterThan(0);
  });

  test('an abort leaves each window whole: there, or in the trash', async () => {
    const { cwm, store } = await fourWindows();
    const abort = new AbortController();
    const original = store.windows.delete.bind(store);
    store.windows.delete = async (name) => {
      await original(name);
      if (name === 'w2') abort.abort();
    };
    expect(await codeOf(cwm.prune({ keep: 0 }, abort.signal))).toContain('AbortError');
    expect((await cwm.listWindows({ sortBy: 'name', order: 'asc' })).items).toMatchObject([
      { name: 'w3' },
      { name: 'w4' },
    ]);
    const { items } = await cwm.listTrash();
    expect(items.map(({ name }) => name).sort()).toEqual(['w1', 'w2']);
  });

  test('a pruned window can be restored with its text, and its KV is computed again', async () => {
    const fixture = await fourWindows();
    const { cwm, engine, heard } = fixture;
    await cwm.prune({ keep: 3 }, never());
    engine.restart();
    const { items } = await cwm.listTrash();
    heard.length = 0;
    expect(await cwm.restoreFromTrash({ item: items[0]!.id })).toMatchObject({ kind: 'window', name: 'w1' });
    expect(heard).toEqual([{ type: 'window', window: 'w1' }]);
    expect(await cwm.thaw({ window: 'w1' }, never())).toMatchObject({ verdict: 'rebuilt' });
  });

  test('the preview is exactly what a run then does, and what it says is measured', async () => {
    const action = fc.oneof(
      fc.record({ do: fc.constant('session' as const), text: fc.constantFrom('x', 'y') }),
      fc.record({ do: fc.constantFrom('freeze', 'checkpoint'), which: fc.nat(9) }),
      fc.record({ do: fc.constantFrom('clone', 'thaw', 'pin', 'delete'), which: fc.nat(9) }),
      fc.record({ do: fc.constant('loose' as const) }),
      fc.record({ do: fc.constant('wait' as const), days: fc.nat(3) }),
    );
    const asked = fc
      .record({ olderThanDays: fc.nat(5), keep: fc.nat(4) }, { requiredKeys: [] })
      .filter((input) => Object.keys(input).length > 0);
    await fc.assert(
      fc.asyncProperty(fc.array(action, { minLength: 4, maxLength: 14 }), asked, async (actions, input) => {
        const fixture = await embedded();
        const { cwm, engine, clock } = fixture;
        await talkedSession(fixture, 'start');
        await cwm.freeze({ session: 'start', window: 'start' }, never());
        for (const [at, step] of actions.entries()) {
          const sessions = (await cwm.listSessions({})).items.map(({ id }) => id);
          const windows = (await cwm.listWindows({})).items.map(({ name }) => name);
          if (step.do === 'session') {
            await cwm.createSession({ id: `s${at}` });
            await cwm.send({ session: `s${at}`, text: step.text.repeat(40) }, never());
          } else if (step.do === 'loose') {
            await engine.persist({ ids: [1, 2, 3, 4, 5], salt: `salt ${at}`, handle: null }, never());
          } else if (step.do === 'wait') clock.advance(step.days * dayMs);
          else {
            const window = windows[step.which % Math.max(1, windows.length)] ?? 'none';
            const session = sessions[step.which % sessions.length] ?? 'none';
            const isCheckpoint = step.do === 'checkpoint';
            // What is not possible in this order is refused, and that is fine.
            const outcome = {
              freeze: () => cwm.freeze({ session, window: `w${at}` }, never()),
              checkpoint: () => cwm.freeze({ session, window: `w${at}`, checkpoint: isCheckpoint }, never()),
              clone: () => cwm.clone({ window, target: `w${at}` }, never()),
              thaw: () => cwm.thaw({ window, session: `t${at}` }, never()),
              pin: () => cwm.pinWindow({ window, pinned: step.which % 2 === 0 }),
              delete: () => cwm.deleteWindow({ window, keepBlocks: step.which % 2 === 0 }, never()),
            }[step.do as 'freeze'];
            await codeOf(outcome());
          }
        }
        const before = await usageOf(fixture);
        const preview = await cwm.prune({ ...input, dryRun: true }, never());
        expect(await usageOf(fixture)).toEqual(before);
        const run = await cwm.prune(input, never());
        const after = await usageOf(fixture);
        expect(run).toEqual({ ...preview, dryRun: false });
        expect(before.kv.bytes - after.kv.bytes).toBe(run.bytesFreed);
        expect(before.recordBytes - after.recordBytes).toBe(run.bytesToTrash);
        expect(after.trashBytes - before.trashBytes).toBe(run.bytesToTrash);
        const gone = new Set(namesOf(run));
        const left = before.items.filter(({ name }) => !gone.has(name));
        expect(after.items.map(({ name, pinned }) => ({ name, pinned }))).toEqual(
          left.map(({ name, pinned }) => ({ name, pinned })),
        );
        expect(after.items.map(({ kv }) => kv?.bytes)).toEqual(left.map(({ kv }) => kv?.bytes));
        expect(before.items.filter(({ name }) => gone.has(name)).some(({ pinned }) => pinned)).toBe(false);
        expect(await cwm.prune(input, never())).toMatchObject({ blocks: 0, bytesFreed: 0 });
      }),
      { numRuns: 25 },
    );
  });
});

describe('usage', () => {
  test('S0-12 counts what windows share once: in the sum, and as shared with each of them', async () => {
    const fixture = await embedded();
    const { cwm, engine } = fixture;
    await talkedSession(fixture);
    await cwm.freeze({ session: 's', window: 'a', checkpoint: true }, never());
    const first = await usageOf(fixture);
    await cwm.send({ session: 's', text: 'And one more turn.' }, never());
    await cwm.freeze({ session: 's', window: 'b', checkpoint: true }, never());
    await talkedSession(fixture, 'other');
    await cwm.freeze({ session: 'other', window: 'c' }, never());
    await cwm.pinWindow({ window: 'a', pinned: true });
    await engine.persist({ ids: [1, 2, 3, 4], salt: 'loose', handle: null }, never());
    const now = await usageOf(fixture);
    const [a, b, c] = now.items.map(({ kv }) => kv!);
    expect(a).toMatchObject({ uniqueBytes: 0, sharedBytes: first.kv.bytes, missingBlocks: 0, measured: 'now' });
    expect(b).toMatchObject({ sharedBytes: first.kv.bytes, bytes: b!.uniqueBytes + b!.sharedBytes });
    expect(c).toMatchObject({ sharedBytes: 0, bytes: c!.uniqueBytes });
    expect(now.kv).toEqual({
      bytes: engine.diskBlocks * 74,
      blocks: engine.diskBlocks,
      windowBytes: b!.bytes + c!.bytes,
      pinnedBytes: a!.bytes,
      looseBytes: 74,
      budgetBytes: 50e9,
      isBudgetOfAllEngines: false,
      elsewhereBytes: 0,
    });
    expect(now.items.map(({ name, pinned }) => [name, pinned])).toEqual([
      ['a', true],
      ['b', false],
      ['c', false],
    ]);
  });

  test('says what is gone, and when a window was used last', async () => {
    const fixture = await embedded();
    const { cwm, engine } = fixture;
    await talkedSession(fixture);
    await cwm.freeze({ session: 's', window: 'w' }, never());
    const [made] = (await usageOf(fixture)).items;
    engine.lose(0);
    const [without] = (await usageOf(fixture)).items;
    expect(without?.kv).toMatchObject({ missingBlocks: 1, bytes: made!.kv!.bytes - 74 });
    await cwm.thaw({ window: 'w' }, never());
    const [used] = (await usageOf(fixture)).items;
    expect(used!.lastUsedAt > made!.lastUsedAt).toBe(true);
    expect(used?.kv).toMatchObject({ missingBlocks: 0 });
  });

  test('KV of other engines has its recorded size, and does not count in the sum', async () => {
    const fixture = await coreFixture();
    const { cwm, engine } = fixture;
    await talkedSession(fixture);
    await cwm.freeze({ session: 's', window: 'w' }, never());
    await cwm.clone({ window: 'w', target: 'c' }, never());
    engine.hasBlockFiles = false;
    await talkedSession(fixture, 'unseen');
    await cwm.freeze({ session: 'unseen', window: 'u' }, never());
    // The fake's files are taken for ours unless they are gone.
    const recorded = engine.diskBlocks * 74;
    engine.evict();
    const { kv, items, totalBytes, ...rest } = await usageOf(fixture);
    expect(kv).toMatchObject({ bytes: 0, windowBytes: 0, elsewhereBytes: recorded });
    expect(items.map((item) => item.kv)).toEqual([
      { bytes: recorded, uniqueBytes: 0, sharedBytes: recorded, missingBlocks: 0, measured: 'recorded' },
      null,
      { bytes: recorded, uniqueBytes: 0, sharedBytes: recorded, missingBlocks: 0, measured: 'recorded' },
    ]);
    expect(totalBytes).toBe(rest.recordBytes + rest.trashBytes + rest.quarantineBytes + rest.otherBytes);
    expect(rest).toMatchObject({
      sessions: { count: 2, soft: 100, hard: 1000 },
      windows: { count: 3, soft: 1000, hard: 10_000 },
      quotaBytes: 100e9,
      freeBytes: null,
    });
  });

  test('S0-52 what thaws reused adds up, and is known after a restart', async () => {
    const fixture = await coreFixture();
    const { cwm, store, engine } = fixture;
    await talkedSession(fixture);
    await cwm.freeze({ session: 's', window: 'w', checkpoint: true }, never());
    expect((await usageOf(fixture)).reuse).toEqual({ thaws: 0, promptTokens: 0, cachedTokens: 0 });
    const hit = await cwm.thaw({ window: 'w' }, never());
    engine.evict();
    const miss = await cwm.thaw({ window: 'w' }, never());
    engine.isSilent = true;
    await cwm.thaw({ window: 'w' }, never());
    expect(hit.cachedTokens).toBeGreaterThan(0);
    expect(miss.cachedTokens).toBe(0);
    const reuse = { thaws: 2, promptTokens: 2 * (hit.promptTokens ?? 0), cachedTokens: hit.cachedTokens };
    expect((await usageOf(fixture)).reuse).toEqual(reuse);
    await store.close();
    const again = await openStore({ directory: fixture.directory, clock: fixture.clock });
    expect((await again.windows.all()).map((window) => window.reuse)).toEqual([reuse]);
    await again.close();
  });

  test('an unreadable window is left out, and the others are reported', async () => {
    const fixture = await fourWindows();
    writeFileSync(path.join(fixture.directory, 'windows/w2/kv.json'), 'damaged');
    const { items } = await usageOf(fixture);
    expect(items.map(({ name, kv }) => [name, kv === null])).toEqual([
      ['w1', false],
      ['w2', true],
      ['w3', false],
      ['w4', false],
    ]);
  });
});
