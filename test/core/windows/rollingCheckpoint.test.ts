import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { CwmError } from '../../../src/protocol/errors.ts';
import { parseWindowName } from '../../../src/protocol/ids.ts';
import { collect } from '../../../src/core/space/collect.ts';
import { defaultLimits } from '../../../src/core/space/limits.ts';
import { makeSpace } from '../../../src/core/space/space.ts';
import type { Caller } from '../../../src/core/ports/projects.ts';
import { FakeEngine } from '../fakeEngine.ts';
import { holdSave, keeping, restores, talkedIn } from '../checkpoints.ts';
import { coreFixture, never, talkedSession, type CoreFixture } from '../coreFixture.ts';
import { sessionId, windowName } from '../../store/builders.ts';

const s = sessionId('s');
const minute = 60_000;

beforeEach(() => vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }));
afterEach(() => vi.useRealTimers());

async function idleFor({ cwm }: CoreFixture, ms: number): Promise<void> {
  await vi.advanceTimersByTimeAsync(ms);
  await cwm.settled();
}

describe('S0-16 a checkpoint that nobody asked for', () => {
  it('is made once a session has been idle for ten minutes, and the session goes on', async () => {
    const fixture = await keeping();
    await talkedSession(fixture);
    await idleFor(fixture, 10 * minute - 1);
    expect(await fixture.store.checkpoints.get(s)).toBeNull();
    await idleFor(fixture, 1);
    const { tokens, lifecycle } = await fixture.cwm.getSession({ session: 's' });
    expect(lifecycle).toBe('active');
    const { last } = await fixture.cwm.autoFreezeCheck({ session: 's' });
    expect(last).toMatchObject({ operation: 'checkpoint', tokens: tokens?.count, ms: expect.any(Number) as unknown });
    expect(last?.kvBytesWritten).toBeGreaterThan(0);
    expect(await fixture.store.checkpoints.get(s)).toMatchObject({
      manifest: { session: 's', mode: 'checkpoint', tokens: { sha256: tokens?.sha256 } },
      receipt: { operation: 'checkpoint', verdict: 'proven' },
    });
    await fixture.cwm.send({ session: 's', text: 'And why?' });
    expect(fixture.failures).toEqual([]);
  });

  it('is in no list, counts against no limit, and is replaced in place', async () => {
    const fixture = await keeping();
    await talkedSession(fixture);
    await idleFor(fixture, 10 * minute);
    await fixture.cwm.send({ session: 's', text: 'And why?' });
    await idleFor(fixture, 10 * minute);
    const { tokens } = await fixture.cwm.getSession({ session: 's' });
    expect((await fixture.store.checkpoints.get(s))?.manifest.tokens.sha256).toBe(tokens?.sha256);
    expect((await fixture.cwm.listWindows({})).total).toBe(0);
    expect((await fixture.cwm.usage()).windows.count).toBe(0);
    expect((await fixture.cwm.listTrash({})).items).toEqual([]);
  });

  it('is left out where the model server has gone, and holds up no end', async () => {
    const fixture = await keeping();
    await talkedSession(fixture);
    const away = new CwmError('EngineUnavailable', 'Nothing answers.');
    vi.spyOn(fixture.engine, 'describe').mockRejectedValue(away);
    vi.spyOn(fixture.engine, 'measure').mockRejectedValue(away);
    await fixture.cwm.close();
    expect(await fixture.store.checkpoints.get(s)).toBeNull();
    expect(fixture.failures).toEqual([]);
  });

  it('is made only when something changed', async () => {
    const fixture = await keeping();
    await talkedIn(fixture, 's', 'file:///a');
    expect((await fixture.cwm.closeProject({ project: 'file:///a' })).receipt).not.toBeNull();
    fixture.engine.calls = [];
    expect(await fixture.cwm.closeProject({ project: 'file:///a' })).toMatchObject({
      receipt: null,
      why: 'Nothing changed since its last checkpoint.',
    });
    await idleFor(fixture, 60 * minute);
    expect(fixture.engine.calls).not.toContain('persist');
  });

  it("is made at 0.75 of the model's limit, and again only after the cooldown of a minute", async () => {
    const fixture = await keeping({ idleMs: 0 });
    const made = async (): Promise<string | undefined> => {
      await fixture.cwm.settled();
      return (await fixture.store.checkpoints.get(s))?.manifest.tokens.sha256;
    };
    const current = async () => (await fixture.cwm.getSession({ session: 's' })).tokens;
    fixture.engine.model = { ...fixture.engine.model, maxModelLen: 400 };
    await fixture.cwm.createSession({ id: 's' });
    await fixture.cwm.send({ session: 's', text: 'x'.repeat(100) });
    expect((await current())?.count).toBeLessThan(300);
    expect(await made()).toBeUndefined();
    expect(await fixture.cwm.autoFreezeCheck({ session: 's' })).toMatchObject({ triggered: false, reason: 'below' });
    await fixture.cwm.send({ session: 's', text: 'x'.repeat(190) });
    expect((await current())?.count).toBeGreaterThanOrEqual(300);
    const first = await made();
    expect(first).toBe((await current())?.sha256);
    await fixture.cwm.send({ session: 's', text: 'y' });
    expect(await made()).toBe(first);
    expect(await fixture.cwm.autoFreezeCheck({ session: 's' })).toMatchObject({ triggered: false, reason: 'cooldown' });
    fixture.clock.advance(minute);
    expect(await fixture.cwm.autoFreezeCheck({ session: 's' })).toMatchObject({
      triggered: true,
      reason: 'threshold',
      isChanged: true,
    });
    await fixture.cwm.send({ session: 's', text: 'z' });
    expect(await made()).toBe((await current())?.sha256);
  });

  it('gives way to a turn, of this session or another, and is made later', async () => {
    const fixture = await keeping();
    const { cwm, engine } = fixture;
    await talkedSession(fixture);
    await cwm.createSession({ id: 't' });
    const sealing = Promise.withResolvers<void>();
    const ended = Promise.withResolvers<void>();
    engine.onCall = async (call) => {
      if (call !== 'persist') return;
      engine.onCall = async () => {};
      sealing.resolve();
      await ended.promise;
    };
    await vi.advanceTimersByTimeAsync(10 * minute);
    await sealing.promise;
    const answered = cwm.send({ session: 't', text: 'Now.' });
    ended.resolve();
    await answered;
    await cwm.settled();
    expect(await fixture.store.checkpoints.get(s)).toBeNull();
    await idleFor(fixture, minute);
    expect(await fixture.store.checkpoints.get(s)).not.toBeNull();
    expect(fixture.failures).toEqual([]);
  });

  it('of a session that was left gives way, too, and is made as soon as nothing else runs', async () => {
    const fixture = await keeping({ idleMs: 0 });
    const { cwm, engine, store } = fixture;
    await talkedIn(fixture, 's', 'file:///a');
    await cwm.createSession({ id: 't', project: 'file:///b' });
    const sealing = Promise.withResolvers<void>();
    const ended = Promise.withResolvers<void>();
    engine.onCall = async (call) => {
      if (call !== 'persist') return;
      engine.onCall = async () => {};
      sealing.resolve();
      await ended.promise;
    };
    await cwm.openProject({ project: 'file:///b', leaving: 'file:///a' });
    await sealing.promise;
    const answered = cwm.send({ session: 't', text: 'Now.' });
    ended.resolve();
    await answered;
    await cwm.settled();
    expect(await store.checkpoints.get(s)).toBeNull();
    await idleFor(fixture, 5000);
    expect(await store.checkpoints.get(s)).not.toBeNull();
    expect(fixture.failures).toEqual([]);
  });

  describe('when the backend ends', () => {
    /** Sessions of so many words on a slow engine, whose saves take what `costMs` says, by the count of tokens. */
    async function ending(words: Readonly<Record<string, number>>, costMs: (tokens: number) => number) {
      let atMs = 0;
      const clock = { now: () => new Date(atMs), elapsedMs: () => atMs };
      const other = Object.assign(new FakeEngine(), { spec: 'http://other' });
      const fixture = await coreFixture({}, undefined, (own) => ({
        ...own,
        clock,
        checkpoints: { enabled: true, idleMs: 0, shutdownMs: 4000 },
        engines: { ...own.engines, get: (spec) => (spec === other.spec ? other : own.engines.get(spec)) },
      }));
      const { cwm, engine, store } = fixture;
      for (const [id, count] of Object.entries(words)) {
        await cwm.createSession({ id, ...(id.startsWith('other') && { engine: other.spec }) });
        await cwm.send({ session: id, text: 'ice '.repeat(count), maxTokens: 2 }, never());
      }
      await cwm.settled();
      const begun: number[] = [];
      let saving = 0;
      for (const each of [engine, other]) {
        const persist = each.persist.bind(each);
        each.persist = async (context, signal) => {
          begun.push(context.ids.length);
          const saved = new Promise((resolve, reject) => {
            setTimeout(resolve, costMs(context.ids.length));
            signal.addEventListener('abort', () => reject(signal.reason as Error));
          });
          saving++;
          await saved.finally(() => saving--);
          return persist(context, signal);
        };
      }
      const closing = cwm.close();
      const over = new AbortController();
      void closing.finally(() => over.abort());
      while (!over.signal.aborted) {
        await new Promise(setImmediate);
        // Only the engines take time, and not the disk of the machine that runs the test.
        if (saving === 0) continue;
        atMs += 100;
        await vi.advanceTimersByTimeAsync(100);
      }
      const saved: string[] = [];
      for (const id of Object.keys(words)) if (await store.checkpoints.get(sessionId(id))) saved.push(id);
      return { saved, begun, failures: fixture.failures.map(String), atMs, lost: await closing };
    }

    it('saves first what would take longest to compute again, as much as fits, and names the rest', async () => {
      const { saved, begun, failures, atMs, lost } = await ending({ a: 100, b: 300, c: 200, d: 50 }, () => 1500);
      expect(saved).toEqual(['b', 'c']);
      expect(begun).toEqual([...begun].sort((one, other) => other - one));
      expect(failures).toEqual([expect.stringMatching(/not saved within the 4 s .*: (a, d|d, a)\.$/)]);
      expect(lost?.limitMs).toBe(4000);
      expect(lost?.unsaved.map(({ session }) => session).sort()).toEqual(['a', 'd']);
      for (const { tokens } of lost?.unsaved ?? []) expect(tokens).toBeGreaterThan(50);
      expect(atMs).toBeLessThan(4600);
    });

    it('names none of which nothing is saved without being asked, however long the others take', async () => {
      const fixture = await keeping({ idleMs: 0, shutdownMs: 1000 });
      const { clock, cwm, engine, store } = fixture;
      const persist = engine.persist.bind(engine);
      engine.persist = (context, signal) => {
        clock.advance(2000);
        return persist(context, signal);
      };
      await talkedIn(fixture, 'first', 'file:///a');
      await cwm.closeProject({ project: 'file:///a' });
      for (const [id, words] of Object.entries({ quiet: 300, open: 200 })) {
        await cwm.createSession({ id, recorded: id !== 'quiet' });
        await cwm.send({ session: id, text: 'ice '.repeat(words) });
      }
      await cwm.settled();
      expect(await cwm.close()).toBeNull();
      expect(await store.checkpoints.get(sessionId('open'))).not.toBeNull();
    });

    it('does not give all its time to one whose cost nobody knows', async () => {
      const { saved, failures } = await ending({ a: 100, b: 300, c: 200 }, (tokens) => (tokens > 1000 ? 60_000 : 300));
      expect(saved).toEqual(['a', 'c']);
      expect(failures).toEqual([expect.stringContaining(': b.')]);
    });

    it('asks all model servers at once', async () => {
      const words = { a: 100, other: 300, other2: 200 };
      const { saved, failures } = await ending(words, (tokens) => (tokens > 500 ? 60_000 : 3500));
      expect(saved).toEqual(['a']);
      expect(failures).toEqual([expect.stringContaining('other, other2.')]);
    });

    it('says nothing where all are saved in time, and saves nothing again', async () => {
      const { saved, failures, lost } = await ending({ a: 10, b: 30 }, () => 100);
      expect([saved, failures, lost]).toEqual([['a', 'b'], [], null]);
    });
  });

  it('that fails leaves the earlier one whole, and no turn notices', async () => {
    const fixture = await keeping();
    const { cwm, engine } = fixture;
    await talkedSession(fixture);
    await idleFor(fixture, 10 * minute);
    const before = await fixture.store.checkpoints.get(s);
    await cwm.send({ session: 's', text: 'And why?' });
    engine.onCall = async (call) => {
      if (call === 'persist') throw new CwmError('EngineFailed', 'The disk of the engine is full.');
    };
    await idleFor(fixture, 10 * minute);
    expect(await fixture.store.checkpoints.get(s)).toEqual(before);
    expect(fixture.failures).toHaveLength(1);
    await cwm.send({ session: 's', text: 'Still here?' });
  });

  it('is not made of a folder that is opened without a record, and nothing is brought back there unasked', async () => {
    const fixture = await keeping();
    await talkedIn(fixture, 's', 'file:///a');
    const { warming } = await fixture.cwm.openProject({ project: 'file:///a', record: false });
    expect(warming).toMatchObject({ state: 'none', why: expect.stringContaining('without being asked') as unknown });
    await idleFor(fixture, 10 * minute);
    expect(await fixture.cwm.closeProject({ project: 'file:///a' })).toMatchObject({ receipt: null });
    expect(await fixture.store.checkpoints.get(s)).toBeNull();
    // A switch to a session, and a plain "cwm open", say nothing about a record.
    expect((await fixture.cwm.openProject({ project: 'file:///a' })).warming).toEqual(warming);
    await fixture.cwm.openProject({ project: 'file:///a', insist: true });
    expect(await fixture.cwm.closeProject({ project: 'file:///a' })).toMatchObject({ receipt: null });
    await fixture.cwm.openProject({ project: 'file:///a', record: true });
    expect((await fixture.cwm.closeProject({ project: 'file:///a' })).receipt).not.toBeNull();
  });

  it('is not made of a session that is not recorded, and the one that it has goes; a program cannot say so', async () => {
    let caller: Caller = { client: 'cli', isAgent: false };
    const fixture = await coreFixture({}, undefined, (own) => ({
      ...own,
      checkpoints: { enabled: true },
      caller: () => caller,
    }));
    const { cwm, store } = fixture;
    await talkedIn(fixture, 's', 'file:///a');
    await cwm.closeProject({ project: 'file:///a' });
    expect(await store.checkpoints.get(s)).not.toBeNull();
    caller = { client: 'mcp', isAgent: true };
    for (const recorded of [true, false])
      await expect(cwm.updateSession({ session: 's', recorded })).rejects.toMatchObject({ name: 'AccessDenied' });
    caller = { client: 'cli', isAgent: false };
    await cwm.updateSession({ session: 's', recorded: false });
    expect(await store.checkpoints.get(s)).toBeNull();
    await cwm.send({ session: 's', text: 'And why?' });
    await idleFor(fixture, 10 * minute);
    const why = 'Nothing of this session is saved without being asked.';
    expect(await cwm.closeProject({ project: 'file:///a' })).toMatchObject({ receipt: null, why });
    const { warming } = await cwm.openProject({ project: 'file:///a' });
    expect(warming).toMatchObject({ state: 'none', why: expect.stringContaining('this session') as unknown });
    await cwm.updateSession({ session: 's', recorded: true });
    expect((await cwm.closeProject({ project: 'file:///a' })).receipt?.verdict).toBe('proven');
  });

  it('is not made when the policy says so', async () => {
    const fixture = await keeping();
    await talkedSession(fixture);
    expect(await fixture.cwm.autoFreezeConfig({ enabled: false })).toEqual({
      enabled: false,
      tokenThreshold: 0.75,
      tokenCountThreshold: 0,
      cooldownSeconds: 60,
      idleMinutes: 10,
      namePattern: 'auto-{session_id}-{timestamp}',
      tags: ['auto-freeze'],
    });
    await idleFor(fixture, 10 * minute);
    await fixture.cwm.close();
    expect(await fixture.store.checkpoints.get(s)).toBeNull();
  });

  it('is called by the pattern and has the tags of the policy, in its receipts and nowhere else', async () => {
    const fixture = await keeping({ namePattern: 'kept_{count}-of-{session_id}', tags: ['a', 'b'] });
    await talkedIn(fixture, 's', 'file:///a');
    const made = await fixture.cwm.closeProject({ project: 'file:///a' });
    expect(made.receipt).toMatchObject({ window: 'kept_1-of-s', ofCheckpoint: true });
    expect(await fixture.cwm.autoFreezeCheck({ session: 's' })).toMatchObject({
      last: { window: 'kept_1-of-s' },
      lastTags: ['a', 'b'],
    });
    const changed = await fixture.cwm.autoFreezeConfig({ namePattern: 'at-{timestamp}{count}', tags: [] });
    expect(await fixture.cwm.autoFreezePolicy({})).toEqual(changed);
    await fixture.cwm.send({ session: 's', text: 'And why?' });
    const next = (await fixture.cwm.closeProject({ project: 'file:///a' })).receipt;
    expect(next?.window).toBe(`at-${next?.at.slice(0, 19).replaceAll(/[-:]/g, '')}Z2`);
    expect(() => parseWindowName(next?.window ?? '')).not.toThrow();
    expect((await fixture.cwm.autoFreezeCheck({ session: 's' })).lastTags).toEqual([]);
    expect((await fixture.cwm.listWindows({})).total).toBe(0);
  });

  it.each([
    { tokenThreshold: 0 },
    { tokenThreshold: 1.01 },
    { idleMinutes: -1 },
    { cooldownSeconds: Infinity },
    { namePattern: 'always-the-same' },
    { namePattern: 'a/{count}' },
    { namePattern: '{session}' },
    { namePattern: `{count}${'x'.repeat(128)}` },
    { tags: ['a b'] },
    { tags: Array.from({ length: 11 }, (_, at) => `t${at}`) },
  ])('a policy of %o is refused', async (change) => {
    const { cwm } = await keeping();
    await expect(cwm.autoFreezeConfig(change)).rejects.toMatchObject({ name: 'InvalidParameter' });
  });
});

describe('what a checkpoint takes', () => {
  it('goes with its session, and no trash has it', async () => {
    const fixture = await keeping();
    await talkedIn(fixture, 's', 'file:///a');
    await fixture.cwm.closeProject({ project: 'file:///a' });
    await fixture.cwm.deleteSession({ session: 's' });
    const { items } = await fixture.cwm.listTrash({});
    expect(items).toHaveLength(1);
    await fixture.cwm.restoreFromTrash({ item: items[0]!.id });
    expect(await fixture.store.checkpoints.get(s)).toBeNull();
    expect((await fixture.cwm.getSession({ session: 's' })).tokens).not.toBeNull();
  });

  it('of one more turn is only its new blocks', async () => {
    const fixture = await keeping();
    await talkedIn(fixture, 's', 'file:///a');
    const first = (await fixture.cwm.closeProject({ project: 'file:///a' })).receipt;
    await fixture.cwm.send({ session: 's', text: 'And why?' });
    const second = (await fixture.cwm.closeProject({ project: 'file:///a' })).receipt;
    expect(second?.kvBytesWritten).toBeGreaterThan(0);
    expect(second?.kvBytesWritten).toBe((second?.kvBytes ?? 0) - (first?.kvBytes ?? 0));
    const { blocksChecked = 0, blocksHashed } = second?.content ?? {};
    expect(blocksHashed).toBe(blocksChecked - (first?.content.blocksChecked ?? 0));
    const canaries = (calls: readonly string[]) => calls.filter((call) => call === 'measure').length;
    // The checksums of every block are recorded, and the request that stores them shows what is reused.
    expect(canaries(fixture.engine.calls)).toBe(0);
    expect(second).toMatchObject({ verdict: 'proven', content: { checksums: 'agreed', canary: 'not-run' } });
    expect((second?.promptTokens ?? 0) - (second?.cachedTokens ?? 0)).toBe(1);
  });

  it('is at most a twentieth of the time of a session that goes on; one that is left is saved all the same', async () => {
    const fixture = await keeping({ tokenCountThreshold: 1, cooldownMs: 0 });
    const { clock, cwm, engine } = fixture;
    const persist = engine.persist.bind(engine);
    let saves = 0;
    engine.persist = (context, signal) => {
      saves++;
      clock.advance(1000);
      return persist(context, signal);
    };
    const turn = async (afterMs: number): Promise<number> => {
      clock.advance(afterMs);
      await cwm.send({ session: 's', text: 'And why?' });
      await cwm.settled();
      return saves;
    };
    await talkedIn(fixture, 's', 'file:///a');
    expect(saves).toBe(1);
    expect(await turn(10_000)).toBe(1);
    expect(await turn(60_000)).toBe(2);
    expect(await turn(0)).toBe(2);
    expect((await cwm.closeProject({ project: 'file:///a' })).receipt).not.toBeNull();
    expect(saves).toBe(3);
    await turn(0);
    await idleFor(fixture, 10 * minute);
    expect(saves).toBe(4);
  });

  it('waits no longer than ever once the session rests, however long saving takes', async () => {
    const fixture = await keeping({ tokenCountThreshold: 1, cooldownMs: 0 });
    const { clock, cwm, engine } = fixture;
    const persist = engine.persist.bind(engine);
    let saves = 0;
    engine.persist = (context, signal) => {
      saves++;
      clock.advance(minute);
      return persist(context, signal);
    };
    await talkedIn(fixture, 's', 'file:///a');
    await cwm.send({ session: 's', text: 'And why?' });
    await cwm.settled();
    expect(saves).toBe(1);
    await idleFor(fixture, 10 * minute);
    expect(saves).toBe(2);
  });

  it('proves nothing of a file that went bad before its first checksum', async () => {
    const fixture = await keeping();
    await talkedIn(fixture, 's', 'file:///a');
    const { cwm, engine, store } = fixture;
    const session = await store.sessions.get(s);
    if (!session?.tokens) throw new Error('It has no tokens.');
    const ids = await store.sessions.loadTokens(s, session.tokens.sha256);
    const { salt } = await store.lineages.get(session.lineage);
    // As a tier that writes with each turn.
    await engine.persist({ ids, salt, handle: null }, never());
    engine.damage(2, { silently: false });
    await cwm.closeProject({ project: 'file:///a' });
    engine.restart();
    await cwm.openProject({ project: 'file:///a' });
    await cwm.settled();
    const { warming } = await cwm.openedProject({ project: 'file:///a' });
    expect(warming).toMatchObject({ receipt: { operation: 'thaw', verdict: 'damaged' } });
    expect(engine.hasReusedWrongBytes).toBe(true);
  });

  it('releases the handle of one that is dropped, with the context that it was made of', async () => {
    const fixture = await keeping();
    await talkedIn(fixture, 's', 'file:///a');
    const { cwm, engine } = fixture;
    engine.handle = 'pin';
    await cwm.closeProject({ project: 'file:///a' });
    const forget = vi.spyOn(engine, 'forget');
    await cwm.recordProject({ project: 'file:///a', recorded: false });
    expect(forget.mock.calls[0]?.[0]).toMatchObject({ handle: 'pin', context: { ids: expect.any(Array) } });
  });

  it('has a canary where the files are out of sight, and where the server did not reuse all that it can', async () => {
    const fixture = await keeping();
    const canariesOf = async (): Promise<number> => {
      fixture.engine.calls.length = 0;
      await fixture.cwm.send({ session: 's', text: 'And why?' });
      const { receipt } = await fixture.cwm.closeProject({ project: 'file:///a' });
      expect(receipt?.content.canary).toBe('agreed');
      return fixture.engine.calls.filter((call) => call === 'measure').length;
    };
    await talkedIn(fixture, 's', 'file:///a');
    fixture.engine.filesAreElsewhere = true;
    expect(await canariesOf()).toBeGreaterThan(0);
    fixture.engine.filesAreElsewhere = false;
    fixture.engine.onCall = async (call) => {
      if (call === 'persist') fixture.engine.restart();
    };
    expect(await canariesOf()).toBeGreaterThan(0);
  });
});

describe('the budget of KV', () => {
  it('holds for checkpoints too, and theirs go before those of windows', async () => {
    const fixture = await coreFixture({ kvBudgetBytes: 1_000_000, graceMs: 0 }, undefined, (own) => ({
      ...own,
      checkpoints: { enabled: true },
    }));
    const { cwm, store, engine } = fixture;
    engine.kind = 'embedded';
    await talkedIn(fixture, 'w', 'file:///w');
    await cwm.freeze({ session: 'w', window: 'kept' }, never());
    await talkedIn(fixture, 's', 'file:///a');
    await cwm.closeProject({ project: 'file:///a' });
    await cwm.settled();
    const window = (await store.windows.loadKv(windowName('kept'))).kvBytes ?? 0;
    const checkpoint = (await store.checkpoints.get(s))?.kv.kvBytes ?? 0;
    expect(window).toBeGreaterThan(0);
    expect(checkpoint).toBeGreaterThan(0);
    const blocks = engine.blockCache();
    const space = makeSpace({ store, engines: fixture.engines }, blocks, fixture.clock, {
      ...defaultLimits,
      kvBudgetBytes: Math.ceil((window + checkpoint / 2) / 0.95),
      graceMs: 0,
    });
    await collect(space, fixture.clock, never());
    const left = new Set((await blocks.list(never())).map(({ hash }) => hash));
    const kv = await store.windows.loadKv(windowName('kept'));
    expect(kv.blocks.filter(({ hash }) => !left.has(hash))).toEqual([]);
    const ofCheckpoint = (await store.checkpoints.get(s))?.kv.blocks ?? [];
    const gone = ofCheckpoint.map(({ hash }) => !left.has(hash));
    expect(gone.at(-1)).toBe(true);
    expect(gone[0]).toBe(false);
  });
});

describe('where each checkpoint is a whole slot file', () => {
  async function withSlots(): Promise<CoreFixture> {
    const fixture = await keeping();
    fixture.engine.kind = 'llama-server';
    fixture.engine.handle = 'slot-1';
    return fixture;
  }

  it('the file of the earlier one is deleted once the next one is stored', async () => {
    const fixture = await withSlots();
    await talkedIn(fixture, 's', 'file:///a');
    await fixture.cwm.closeProject({ project: 'file:///a' });
    fixture.engine.handle = 'slot-2';
    await fixture.cwm.send({ session: 's', text: 'And why?' });
    await fixture.cwm.closeProject({ project: 'file:///a' });
    expect((await fixture.store.checkpoints.get(s))?.kv.handle).toBe('slot-2');
    expect(fixture.engine.forgottenHandles).toEqual(['slot-1']);
  });

  it('none is made of a session whose KV the server has lost to another program', async () => {
    const fixture = await withSlots();
    await talkedIn(fixture, 's', 'file:///a');
    fixture.cwm.outside.tookEngine(fixture.engine.spec, sessionId('t'));
    expect(await fixture.cwm.closeProject({ project: 'file:///a' })).toMatchObject({
      receipt: null,
      why: 'The model server has another conversation in its memory.',
    });
  });

  it.each(['send', 'thaw'] as const)(
    'another session that takes the server (%s) waits until what the server would lose is saved',
    async (how) => {
      const fixture = await withSlots();
      const { cwm, engine, store } = fixture;
      await talkedIn(fixture, 't', 'file:///b');
      await cwm.freeze({ session: 't', window: 'w', checkpoint: true }, never());
      await talkedIn(fixture, 's', 'file:///a');
      const held = holdSave(fixture);
      engine.calls = [];
      const other = how === 'send' ? cwm.send({ session: 't', text: 'And why?' }) : cwm.thaw({ window: 'w' });
      await held.reached;
      await vi.advanceTimersByTimeAsync(1000);
      expect(engine.calls).not.toContain('generate');
      expect(engine.calls).not.toContain('restore');
      held.go();
      await other;
      expect(await store.checkpoints.get(s)).not.toBeNull();
      expect(fixture.failures).toEqual([]);
    },
  );

  it('a message right after a folder was left does not end the checkpoint that this began', async () => {
    const fixture = await withSlots();
    const { cwm, store } = fixture;
    await talkedIn(fixture, 's', 'file:///a');
    await cwm.createSession({ id: 't', project: 'file:///b' });
    const held = holdSave(fixture);
    await cwm.openProject({ project: 'file:///b', leaving: 'file:///a' });
    await held.reached;
    const other = cwm.send({ session: 't', text: 'And why?' });
    await vi.advanceTimersByTimeAsync(10);
    held.go();
    await other;
    expect(await store.checkpoints.get(s)).not.toBeNull();
  });

  it('a message waits for that no longer than it may', async () => {
    const fixture = await withSlots();
    const { cwm, engine, store } = fixture;
    await talkedIn(fixture, 's', 'file:///a');
    await cwm.createSession({ id: 't', project: 'file:///b' });
    const held = holdSave(fixture);
    engine.calls = [];
    const other = cwm.send({ session: 't', text: 'And why?' });
    await held.reached;
    await vi.advanceTimersByTimeAsync(29_000);
    expect(engine.calls).not.toContain('generate');
    await vi.advanceTimersByTimeAsync(1_000);
    held.go();
    expect((await other).text).not.toBe('');
    expect(await store.checkpoints.get(s)).toBeNull();
  });

  it('a message brings the checkpoint of its session back, where another one had the server since', async () => {
    const fixture = await withSlots();
    await talkedIn(fixture, 's', 'file:///a');
    await talkedIn(fixture, 't', 'file:///b');
    fixture.engine.calls = [];
    await fixture.cwm.send({ session: 's', text: 'And why?' });
    await fixture.cwm.send({ session: 's', text: 'And how?' });
    expect(restores(fixture)).toBe(1);
  });

  it('opening another folder saves what the server would lose, before it is displaced', async () => {
    const fixture = await withSlots();
    await talkedIn(fixture, 's', 'file:///a');
    await fixture.cwm.createSession({ id: 't', project: 'file:///b' });
    await fixture.cwm.openProject({ project: 'file:///b' });
    await fixture.cwm.settled();
    expect(await fixture.store.checkpoints.get(s)).not.toBeNull();
  });
});
