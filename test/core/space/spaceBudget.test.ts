import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import type { SpaceLimits } from '../../../src/core/space/limits.ts';
import type { BlockCache, CachedBlock } from '../../../src/core/ports/blockCache.ts';
import type { EngineRegistry } from '../../../src/core/ports/engineRegistry.ts';
import { BlocksInUse } from '../../../src/core/space/blocksInUse.ts';
import { collect } from '../../../src/core/space/collect.ts';
import { defaultLimits } from '../../../src/core/space/limits.ts';
import type { Store } from '../../../src/core/ports/store.ts';
import { makeSpace } from '../../../src/core/space/space.ts';
import { evictionOrder, type BlockUse } from '../../../src/core/space/evictionOrder.ts';
import { codeOf, coreFixture, never, type CoreFixture } from '../coreFixture.ts';
import { fc } from '../../support/fc.ts';
import { windowName } from '../../support/ids.ts';

const graceMs = 10 * 60 * 1000;

describe('S0-50 the order in which blocks go', () => {
  const arbitraryBlocks = fc.uniqueArray(
    fc.record({
      hash: fc.nat(99).map(String),
      writtenAtMs: fc.integer({ min: 0, max: 3 * graceMs }),
      use: fc.option(fc.record({ lastUsedMs: fc.nat(5), isPinned: fc.boolean(), index: fc.nat(3) }), { nil: null }),
    }),
    { selector: ({ hash }) => hash },
  );

  test('all blocks except pinned and fresh ones are evicted: those of no window first, then those of windows by their last use', () => {
    fc.assert(
      fc.property(arbitraryBlocks, (given) => {
        const nowMs = 2 * graceMs;
        const blocks: CachedBlock[] = given.map(({ hash, writtenAtMs }) => ({
          hash,
          writtenAtMs,
          namespace: 'n',
          sizeBytes: 1,
        }));
        const uses = new Map<string, BlockUse>(given.flatMap(({ hash, use }) => (use ? [[hash, use]] : [])));
        const order = evictionOrder(blocks, uses, { nowMs, graceMs });
        const mayGo = given.filter(({ use, writtenAtMs }) =>
          use ? !use.isPinned : Math.abs(nowMs - writtenAtMs) >= graceMs,
        );
        expect(order.map(({ hash }) => hash).sort()).toEqual(mayGo.map(({ hash }) => hash).sort());
        for (const [at, later] of order.entries()) {
          const earlier = order[at - 1];
          if (!earlier) continue;
          const [first, second] = [uses.get(earlier.hash), uses.get(later.hash)];
          if (!second) {
            expect(first).toBeUndefined();
            expect(earlier.writtenAtMs).toBeLessThanOrEqual(later.writtenAtMs);
          } else if (first) {
            expect(first.lastUsedMs).toBeLessThanOrEqual(second.lastUsedMs);
            if (first.lastUsedMs === second.lastUsedMs) expect(first.index).toBeGreaterThanOrEqual(second.index);
          }
        }
      }),
    );
  });
});

describe('blocks in use', () => {
  test('an operation that holds blocks waits for a deletion that has begun, and protects them from the next one', async () => {
    const inUse = new BlocksInUse();
    const [a, b] = [{ hash: 'a' }, { hash: 'b' }];
    const deletion = Promise.withResolvers<void>();
    const events: string[] = [];
    const first = inUse.delete([a], async () => {
      await deletion.promise;
      events.push('deleted a');
      return 1;
    });
    await inUse.during(async (hold) => {
      const held = hold(['a', 'b']).then(() => events.push('held'));
      deletion.resolve();
      await Promise.all([first, held]);
      expect(events).toEqual(['deleted a', 'held']);
      expect(await inUse.delete([a, b], async (free) => free.length)).toBe(0);
    });
    expect(await inUse.delete([a, b], async (free) => free.length)).toBe(2);
  });

  test('an operation waits for no deletion of other blocks', async () => {
    const inUse = new BlocksInUse();
    const deletion = Promise.withResolvers<number>();
    const slow = inUse.delete([{ hash: 'a' }], () => deletion.promise);
    await inUse.during((hold) => hold(['b']));
    expect(await inUse.delete([{ hash: 'b' }], async (free) => free.length)).toBe(1);
    deletion.resolve(1);
    expect(await slow).toBe(1);
  });

  test('a block that is released during a collection is not deleted by it', async () => {
    const inUse = new BlocksInUse();
    await inUse.collecting(async () => {
      await inUse.during((hold) => hold(['a']));
      expect(inUse.isHeld('a')).toBe(true);
    });
    expect(inUse.isHeld('a')).toBe(false);
  });

  test('a block stays held until both holders release it, also when one fails', async () => {
    const inUse = new BlocksInUse();
    await inUse.during(async (hold) => {
      await hold(['a']);
      const failing = inUse.during(async (holdToo) => {
        await holdToo(['a']);
        throw new Error('failed');
      });
      await expect(failing).rejects.toThrow('failed');
      expect(inUse.isHeld('a')).toBe(true);
    });
    expect(inUse.isHeld('a')).toBe(false);
  });
});

/** The size of the KV of every window here: they are of texts of one length. */
const windowBytes = 25 * 74;

async function embeddedFixture(limits: Partial<SpaceLimits> = {}): Promise<CoreFixture> {
  const fixture = await coreFixture(limits);
  fixture.engine.kind = 'embedded';
  return fixture;
}

async function frozen({ cwm }: CoreFixture, name: string): Promise<void> {
  await cwm.createSession({ id: `s-${name}` });
  await cwm.send({ session: `s-${name}`, text: `${name} ${'x'.repeat(90)}`.slice(0, 90) }, never());
  const receipt = await cwm.freeze({ session: `s-${name}`, window: name }, never());
  expect(receipt.kvBytes).toBe(windowBytes);
  await cwm.settled();
}

/** How many of each window's blocks are gone. */
async function missing({ cwm }: CoreFixture): Promise<Record<string, number>> {
  const { items } = await cwm.usage({}, never());
  return Object.fromEntries(items.map(({ name, kv }) => [name, kv?.missingBlocks ?? -1]));
}

describe('S0-50 the KV budget', () => {
  test('takes from the window that was not used for the longest time, from its end, and records stay', async () => {
    const fixture = await embeddedFixture({ kvBudgetBytes: 2.5 * windowBytes });
    const { cwm } = fixture;
    await frozen(fixture, 'w1');
    await frozen(fixture, 'w2');
    await cwm.thaw({ window: 'w1' }, never());
    expect(await missing(fixture)).toEqual({ w1: 0, w2: 0 });
    await frozen(fixture, 'w3');
    const { w2, ...others } = await missing(fixture);
    expect(others).toEqual({ w1: 0, w3: 0 });
    expect(w2).toBeGreaterThan(10);
    expect(w2).toBeLessThan(25);
    const { kv } = await cwm.usage({}, never());
    expect(kv.bytes).toBeLessThanOrEqual(2.5 * windowBytes);
    expect(kv.bytes).toBeGreaterThan(2 * windowBytes);
    // The blocks before the gap are still of use, and the thaw says what is true.
    fixture.engine.restart();
    const thawed = await cwm.thaw({ window: 'w2' }, never());
    expect(thawed).toMatchObject({ verdict: 'partial', content: { blocksDamaged: 0, blocksMissing: w2 } });
    expect(thawed.cachedTokens).toBe((25 - (w2 ?? 0)) * 4);
    expect(fixture.failures).toEqual([]);
  });

  test('evicts blocks of no window before all others, but no fresh ones', async () => {
    const fixture = await embeddedFixture({ kvBudgetBytes: 2 * windowBytes });
    const { engine, clock, cwm } = fixture;
    const ids = (from: number): number[] => Array.from({ length: 40 }, (_, index) => from + index);
    await engine.persist({ ids: ids(0), salt: 'old', handle: null }, never());
    clock.advance(graceMs);
    await engine.persist({ ids: ids(0), salt: 'fresh', handle: null }, never());
    await frozen(fixture, 'w1');
    await frozen(fixture, 'w2');
    expect((await cwm.usage({}, never())).kv.looseBytes).toBe(10 * 74);
    const left = await engine.locate({ ids: ids(0), salt: 'fresh', handle: null }, never());
    expect(left.reachable && left.blocks.every(({ stat }) => stat !== null)).toBe(true);
    expect((await missing(fixture))['w2']).toBe(0);
    clock.advance(graceMs);
    await frozen(fixture, 'w3');
    expect((await cwm.usage({}, never())).kv.looseBytes).toBe(0);
  });

  test('evicts no block of a pinned window, nor a block shared with it, even when the budget is exceeded then', async () => {
    const fixture = await embeddedFixture({ kvBudgetBytes: windowBytes });
    const { cwm, clock } = fixture;
    await frozen(fixture, 'w1');
    await cwm.clone({ window: 'w1', target: 'c1' }, never());
    await cwm.pinWindow({ window: 'c1', pinned: true });
    clock.advance(graceMs);
    await frozen(fixture, 'w2');
    expect(await missing(fixture)).toEqual({ w1: 0, c1: 0, w2: 25 });
    expect((await cwm.usage({}, never())).kv).toMatchObject({
      bytes: windowBytes,
      pinnedBytes: windowBytes,
      budgetBytes: windowBytes,
    });
    await cwm.pinWindow({ window: 'c1', pinned: false });
    await frozen(fixture, 'w3');
    const after = await missing(fixture);
    expect(after['w1']).toBe(25);
    expect(after['w3']).toBeLessThan(5);
  });

  test('says beforehand when one window alone is more than the budget', async () => {
    const fixture = await embeddedFixture({ kvBudgetBytes: windowBytes - 1 });
    await fixture.cwm.createSession({ id: 's' });
    await fixture.cwm.send({ session: 's', text: 'x'.repeat(90) }, never());
    const { notes } = await fixture.cwm.freeze({ session: 's', window: 'w' }, never());
    expect(notes).toContainEqual(expect.stringContaining('more than the KV budget'));
  });

  test('null is none', async () => {
    const fixture = await embeddedFixture({ kvBudgetBytes: null });
    for (const name of ['w1', 'w2', 'w3']) await frozen(fixture, name);
    expect(await missing(fixture)).toEqual({ w1: 0, w2: 0, w3: 0 });
  });

  test.each(['freeze', 'thaw'] as const)(
    'is kept beside a %s that is under way: nothing that it relies on goes',
    async (operation) => {
      const fixture = await embeddedFixture({ kvBudgetBytes: windowBytes });
      const { cwm, engine, clock } = fixture;
      if (operation === 'thaw') await frozen(fixture, 'w');
      else {
        await cwm.createSession({ id: 's' });
        await cwm.send({ session: 's', text: 'x'.repeat(90) }, never());
        // Written long ago, as by a prime: neither fresh nor of a window.
        await cwm.freeze({ session: 's', window: 'gone', checkpoint: true }, never());
        await cwm.deleteWindow({ window: 'gone', keepBlocks: true }, never());
      }
      clock.advance(2 * graceMs);
      await cwm.createSession({ id: 'other' });
      let kept = 0;
      engine.onCall = async (call) => {
        if (call !== 'measure' || kept > 0) return;
        // What another session has just written leaves no room for both.
        await engine.persist({ ids: Array.from({ length: 200 }, (_, id) => id), salt: 'other', handle: null }, never());
        await cwm.send({ session: 'other', text: 'hello' }, never());
        await cwm.settled();
        kept = engine.diskBlocks;
      };
      const receipt =
        operation === 'thaw'
          ? await cwm.thaw({ window: 'w' }, never())
          : await cwm.freeze({ session: 's', window: 'w' }, never());
      expect(kept).toBe(25 + 50);
      expect(receipt).toMatchObject({ verdict: 'proven', content: { blocksMissing: 0, blocksChecked: 25 } });
      await cwm.settled();
      expect(fixture.failures).toEqual([]);
    },
  );

  test('blocks of an unreadable window stay, and an unreadable block list stops the whole eviction', async () => {
    // Nothing has listed the windows before.
    const fixture = await embeddedFixture({ kvBudgetBytes: null });
    const { directory, engine, engines, store, clock } = fixture;
    const limits = { ...defaultLimits, kvBudgetBytes: windowBytes };
    const space = makeSpace({ store, engines }, engine.blockCache(), clock, limits);
    await frozen(fixture, 'w1');
    makeUnreadable(path.join(directory, 'windows/w1/manifest.json'));
    await frozen(fixture, 'w2');
    await collect(space, clock, never());
    expect(engine.diskBlocks).toBe(25);
    expect(await missing(fixture)).toEqual({ w2: 25 });
    makeUnreadable(path.join(directory, 'windows/w1/kv.json'));
    await frozen(fixture, 'w3');
    expect(await codeOf(collect(space, clock, never()))).toBe('CWM-4002');
    expect(engine.diskBlocks).toBe(50);
  });

  test('an end of the backend stops it without a failure', async () => {
    const fixture = await embeddedFixture({ kvBudgetBytes: 1 });
    await fixture.cwm.createSession({ id: 's' });
    await fixture.cwm.send({ session: 's', text: 'x' }, never());
    await fixture.cwm.close();
    expect(fixture.failures).toEqual([]);
  });
});

describe('S0-50 one budget over the KV of all engines', () => {
  /** On a vLLM whose files are seen, under any spelling that begins as its own; a session and its window with the KV of one text each. */
  async function onVllm(limits: Partial<SpaceLimits>, ...names: readonly string[]): Promise<CoreFixture> {
    const fixture = await coreFixture({ isBudgetOfAllEngines: true, ...limits }, undefined, (own) => {
      const { blocks: _, ...parts } = own;
      const { engines } = parts;
      const { defaultSpec } = engines;
      const get: typeof engines.get = (spec) => engines.get(spec.startsWith(defaultSpec) ? defaultSpec : spec);
      return { ...parts, engines: { ...engines, get } };
    });
    fixture.engine.kind = 'vllm';
    for (const name of names) await frozen(fixture, name);
    return fixture;
  }

  const embeddedBlocks = (hashes: readonly string[] = []): BlockCache => {
    const sizeBytes = windowBytes / 25;
    const there = new Set(hashes);
    return {
      sizes: async () => ({ blockBytes: sizeBytes * there.size, otherBytes: 0 }),
      list: async () => [...there].map((hash) => ({ hash, namespace: 'n', sizeBytes, writtenAtMs: 0 })),
      delete: async (blocks) => {
        for (const { hash } of blocks) there.delete(hash);
        return sizeBytes * blocks.length;
      },
    };
  };

  const spaceOf = (store: Store, { engine, clock }: CoreFixture, kvBudgetBytes: number, blocks = embeddedBlocks()) => {
    const engines: EngineRegistry = {
      defaultSpec: engine.spec,
      get: () => engine,
      status: () => Promise.reject(new Error('not needed here')),
    };
    const limits = { ...defaultLimits, kvBudgetBytes, isBudgetOfAllEngines: true, graceMs: 0 };
    return makeSpace({ store, engines }, blocks, clock, limits);
  };

  test('files of other engines are nothing that the budget counts or deletes, unless a user chose it', async () => {
    const { cwm, engine, failures } = await onVllm({ kvBudgetBytes: 1, isBudgetOfAllEngines: false }, 'a', 'b');
    await cwm.settled();
    expect((await cwm.usage()).items.map(({ kv }) => kv?.missingBlocks)).toEqual([0, 0]);
    expect(engine.diskBlocks).toBeGreaterThanOrEqual(50);
    expect(failures).toEqual([]);
  });

  test('blocks of several files count and go as those of one file', async () => {
    const fixture = await onVllm({ kvBudgetBytes: null });
    fixture.engine.filesOfBlock = 2;
    await frozen(fixture, 'a');
    await frozen(fixture, 'b');
    const space = spaceOf(fixture.store, fixture, windowBytes);
    expect(await collect(space, fixture.clock, never())).toBeGreaterThanOrEqual(windowBytes);
  });

  test('nobody else pays for files that cannot be deleted', async () => {
    const fixture = await onVllm({ kvBudgetBytes: null }, 'older', 'newer');
    const { engine, clock, store } = fixture;
    // The embedded engine has the newer window, and vLLM the older one.
    const hashes = (await store.windows.loadKv(windowName('newer'))).blocks.map(({ hash }) => hash);
    await engine.forget({ hashes, handle: null }, never());
    const blocks = embeddedBlocks(hashes);
    const space = spaceOf(store, fixture, 1.1 * windowBytes, blocks);
    engine.keepsFiles = true;
    expect(await collect(space, clock, never())).toBe(0);
    expect(await collect(space, clock, never())).toBe(0);
    expect(await blocks.list(never())).toHaveLength(25);
    engine.keepsFiles = false;
    clock.advance(3_600_000);
    expect(await collect(space, clock, never())).toBeGreaterThan(0.9 * windowBytes);
    expect(await blocks.list(never())).toHaveLength(25);
  });

  test('a file counts once under all spellings of its server, and stays where any of its windows is pinned', async () => {
    const fixture = await onVllm({ kvBudgetBytes: null });
    const { cwm, engine, clock, store } = fixture;
    await cwm.createSession({ id: 's' });
    await cwm.send({ session: 's', text: 'x'.repeat(90) }, never());
    await cwm.freeze({ session: 's', window: 'pinned', checkpoint: true }, never());
    await cwm.pinWindow({ window: 'pinned', pinned: true });
    await cwm.send({ session: 's', text: 'more', engine: `${engine.spec}#events=tcp://x` }, never());
    await cwm.freeze({ session: 's', window: 'other', checkpoint: true }, never());
    const engineOf = async (name: string) => (await store.windows.get(windowName(name)))?.engine;
    expect(await engineOf('other')).not.toBe(await engineOf('pinned'));
    const files = await spaceOf(store, fixture, 1).kvOfOtherEngines.list(never());
    const blocksOf = async (name: string) => (await store.windows.loadKv(windowName(name))).blocks.length;
    expect(files.length).toBe(await blocksOf('other'));
    await collect(spaceOf(store, fixture, 1), clock, never());
    const { items } = await cwm.usage();
    expect(items.find(({ name }) => name === 'pinned')?.kv?.missingBlocks).toBe(0);
    expect(engine.diskBlocks).toBeGreaterThanOrEqual(await blocksOf('pinned'));
    expect(await spaceOf(store, fixture, 1).kvOfOtherEngines.list(never())).toHaveLength(await blocksOf('pinned'));
  });

  test('an engine that is slow to say what it has keeps nobody from pinning and deleting', async () => {
    const fixture = await onVllm({ kvBudgetBytes: null }, 'a');
    const { engine, clock, store } = fixture;
    const space = spaceOf(store, fixture, 1);
    const { promise, resolve } = Promise.withResolvers<void>();
    const { promise: asked, resolve: ask } = Promise.withResolvers<void>();
    engine.onCall = async (call) => {
      if (call !== 'locate') return;
      ask();
      await promise;
    };
    const collecting = collect(space, clock, never());
    await asked;
    expect(await space.lock.run(async () => 'free')).toBe('free');
    resolve();
    expect(await collecting).toBe(windowBytes);
  });

  test('what a window with damaged token ids names is not counted: nobody can look for it', async () => {
    const fixture = await onVllm({ kvBudgetBytes: null }, 'a', 'b', 'c');
    const { directory, store } = fixture;
    writeFileSync(path.join(directory, 'windows/a/tokens.u32'), 'damaged');
    makeUnreadable(path.join(directory, 'windows/b/tokens.u32'));
    expect(await spaceOf(store, fixture, 1).kvOfOtherEngines.list(never())).toHaveLength(25);
  });

  test('files of vLLM go as the embedded blocks do: the window not used for longest first, never a pinned one', async () => {
    const fixture = await onVllm({ kvBudgetBytes: null }, 'a', 'b', 'c');
    const { cwm, engine, clock, store } = fixture;
    await cwm.pinWindow({ window: 'a', pinned: true });
    const before = engine.diskBlocks;
    const space = spaceOf(store, fixture, Math.ceil((2 * windowBytes) / 0.95));
    expect(await collect(space, clock, never())).toBeGreaterThan(0);
    expect(before - engine.diskBlocks).toBeGreaterThan(0);
    expect(await collect(space, clock, never())).toBe(0);
    const lost = async (window: string) => (await cwm.thaw({ window, copy: true }, never())).content.blocksMissing;
    expect(await lost('a')).toBe(0);
    expect(await lost('c')).toBe(0);
    expect(await lost('b')).toBeGreaterThan(0);
  });

  test('what was evicted is no longer said to be there', async () => {
    const { cwm, failures } = await onVllm({ kvBudgetBytes: Math.ceil(windowBytes / 0.95) }, 'a', 'b');
    await cwm.settled();
    const { items, kv, projects } = await cwm.usage();
    expect(items.map(({ kv }) => kv?.missingBlocks)).toEqual([expect.toSatisfy((missing) => missing > 0), 0]);
    expect(kv.elsewhereBytes).toBeLessThanOrEqual(windowBytes);
    expect(projects?.[0]?.elsewhereBytes).toBe(kv.elsewhereBytes);
    expect(failures).toEqual([]);
  });

  test('KV that no window and no checkpoint names is not touched, and an engine whose files are out of sight keeps them', async () => {
    const fixture = await onVllm({ kvBudgetBytes: null }, 'a');
    const { engine, clock, store } = fixture;
    const ids = Array.from({ length: 200 }, (_, id) => id);
    await engine.persist({ ids, salt: 'of another program', handle: null }, never());
    const before = engine.diskBlocks;
    const space = spaceOf(store, fixture, 1);
    engine.filesAreElsewhere = true;
    expect(await collect(space, clock, never())).toBe(0);
    expect(engine.diskBlocks).toBe(before);
    engine.filesAreElsewhere = false;
    clock.advance(60_000);
    expect(await collect(space, clock, never())).toBe(windowBytes);
    expect(engine.diskBlocks).toBe(before - 25);
  });
});

/** A directory in a file's place: also root can't read it. */
function makeUnreadable(file: string): void {
  rmSync(file);
  mkdirSync(file);
}
