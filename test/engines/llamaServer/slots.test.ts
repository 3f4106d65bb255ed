import { readdirSync } from 'node:fs';
import { readdir, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import type { LlamaServerEngine } from '../../../src/engines/llamaServer/llamaServerEngine.ts';
import { SlotFolder } from '../../../src/engines/llamaServer/slots/slotFolder.ts';
import { systemClock, systemSleep } from '../../../src/base/clock.ts';
import { contextOf, failure, makeRig, never, someIds, type Rig } from './rig.ts';

const cached = async (engine: LlamaServerEngine, ids: readonly number[], salt: string): Promise<number | null> =>
  (await engine.measure(contextOf(ids, salt), never)).reuse.cachedTokens;

/** What each completion said of slot and reuse, oldest first. */
const asked = ({ fake }: Rig): { id_slot: number; cache_prompt: boolean }[] =>
  fake.requestsTo('/completion').map(({ body }) => body as { id_slot: number; cache_prompt: boolean });

const erasures = ({ fake }: Rig): string[] =>
  fake.requestsTo('/slots/').flatMap(({ path }) => (path.includes('erase') ? [path] : []));

describe('the slot that is used', () => {
  test('is one and the same, below the number of slots, the last one', async () => {
    const rig = await makeRig({ fake: { slots: 4 } });
    for (const salt of ['a', 'b', 'a']) await rig.engine.measure(contextOf(someIds(40), salt), never);
    expect(asked(rig).map(({ id_slot }) => id_slot)).toEqual([3, 3, 3]);
  });

  test('is another one while somebody else works in it, and theirs is left alone', async () => {
    const rig = await makeRig();
    const ids = someIds(40);
    await rig.engine.measure(contextOf(ids), never);
    rig.fake.faults.busy = [1];
    rig.fake.strangerAsks(1, someIds(60));
    const theirs = rig.fake.held[1];
    await rig.engine.measure(contextOf(ids), never);
    // It asks twice: once to save, and once to see what a restore gives.
    await rig.engine.persist(contextOf(ids), never);
    expect(asked(rig).map(({ id_slot }) => id_slot)).toEqual([1, 0, 0, 0]);
    expect(rig.fake.held[1]).toEqual(theirs);
  });

  test('is waited for while an aborted request of ours is leaving it', async () => {
    const rig = await makeRig({
      onPause: ({ fake, pauses }) => {
        if (pauses.length === 2) fake.faults.busy = [];
      },
    });
    const ids = someIds(40);
    await rig.engine.measure(contextOf(ids), never);
    rig.fake.faults.busy = [1];
    expect(await cached(rig.engine, ids, 'salt-1')).toBe(39);
    expect(rig.pauses).toEqual([5, 20]);
  });

  test('is waited for at the server when every slot is busy', async () => {
    const rig = await makeRig({ fake: { faults: { busy: [0, 1] } } });
    expect(await cached(rig.engine, someIds(40), 'a')).toBe(0);
    expect(asked(rig)).toMatchObject([{ id_slot: 1 }]);
  });

  const looks = ({ fake }: Rig): number => fake.requestsTo('/slots').filter(({ method }) => method === 'GET').length;

  /** A client that knows the server, and how often it asked for the slots until then. */
  async function known(clock = systemClock): Promise<readonly [Rig, number]> {
    const rig = await makeRig({ engine: { clock } });
    await rig.engine.measure(contextOf(someIds(40)), never);
    return [rig, looks(rig)];
  }

  async function lookAhead({ engine, fake }: Rig): Promise<void> {
    const count = fake.requestsTo('/slots').length;
    engine.expect();
    await fake.untilRequests('/slots', count + 1);
  }

  test('is looked for beside the question who the server is, where KV will be restored', async () => {
    const [rig, before] = await known();
    await lookAhead(rig);
    await rig.engine.measure(contextOf(someIds(40)), never);
    expect(looks(rig)).toBe(before + 1);
    await rig.engine.measure(contextOf(someIds(40)), never);
    expect(looks(rig)).toBe(before + 2);
  });

  test('is not looked for where there is only one', async () => {
    const rig = await makeRig({ fake: { slots: 1 } });
    const context = contextOf(someIds(40));
    await rig.engine.measure(context, never);
    const before = looks(rig);
    rig.engine.expect();
    const { handle } = await rig.engine.persist(context, never);
    await rig.engine.restore({ ...context, handle }, never);
    expect(await cached(rig.engine, context.ids, context.salt)).toBe(39);
    expect(looks(rig)).toBe(before);
  });

  test('is not asked a second time whether it is new, for a request that passes', async () => {
    const rig = await makeRig({ fake: { slots: 1 } });
    await rig.engine.letPass('salt', never);
    const before = looks(rig);
    expect(await rig.engine.letPass('salt', never, { isAgain: true })).toEqual({ isNew: false, mayReuse: true });
    expect(looks(rig)).toBe(before);
    await rig.engine.letPass('salt', never);
    expect(looks(rig)).toBe(before + 1);
  });

  test('that is written as it is leaves no file where nobody waits for that any more', async () => {
    const { engine, fake, slotDir } = await makeRig({ fake: { slots: 1 } });
    const context = contextOf(someIds(50));
    await engine.measure(context, never);
    const abort = new AbortController();
    // At the moment of the server's answer, so that the file is there.
    const written = vi.spyOn(SlotFolder.prototype, 'hasDraft').mockImplementation(async () => {
      abort.abort();
      expect(readdirSync(slotDir)).toHaveLength(1);
      return true;
    });
    onTestFinished(() => written.mockRestore());
    await expect(engine.leave(context.salt, fake.held[0]?.length ?? 0, abort.signal)).rejects.toThrow('cancelled');
    await expect.poll(() => readdirSync(slotDir)).toEqual([]);
  });

  test('is looked for again when that was long ago', async () => {
    let nowMs = 0;
    const [rig, before] = await known({ ...systemClock, elapsedMs: () => nowMs });
    await lookAhead(rig);
    nowMs += 100;
    await rig.engine.measure(contextOf(someIds(40)), never);
    expect(looks(rig)).toBe(before + 2);
  });

  test('is another one where somebody else was seen in it beforehand, and stayed', async () => {
    const [rig] = await known();
    rig.fake.faults.busy = [1];
    rig.engine.expect();
    await rig.engine.measure(contextOf(someIds(40)), never);
    expect(asked(rig).map(({ id_slot }) => id_slot)).toEqual([1, 0]);
    expect(rig.pauses).toHaveLength(4);
  });

  test('holds what was restored for the request that measures it, whoever comes in between', async () => {
    const rig = await makeRig({ fake: { slots: 1 }, engine: { sleep: systemSleep } });
    const mine = contextOf(someIds(60), 'mine');
    const { handle } = await rig.engine.persist(mine, never);
    await rig.fake.restart();
    const between = rig.engine.restore({ ...mine, handle }, never).then(() => rig.engine.measure(mine, never));
    const theirs = rig.engine.measure(contextOf(someIds(40), 'theirs'), never);
    expect((await between).reuse).toMatchObject({ cachedTokens: 59, tier: 'disk' });
    expect((await theirs).reuse.cachedTokens).toBe(0);
  });

  test('is given to others when nobody measures what was restored', async () => {
    const rig = await makeRig();
    const mine = contextOf(someIds(60), 'mine');
    const { handle } = await rig.engine.persist(mine, never);
    expect((await rig.engine.restore({ ...mine, handle }, never)).outcome).toBe('restored');
    expect(await cached(rig.engine, someIds(40), 'theirs')).toBe(0);
    expect(await cached(rig.engine, mine.ids, 'mine')).toBe(0);
  });

  test('that worked is the one that was asked, or the answer counts for nothing', async () => {
    const rig = await makeRig({ fake: { faults: { worksElsewhere: true } } });
    expect(await failure(rig.engine.measure(contextOf(someIds(40)), never))).toMatchObject({ code: 'CWM-5004' });
    const request = { messages: [{ role: 'user', content: 'Hi' }], salt: 's', maxTokens: 2, temperature: 0 } as const;
    const answer = rig.engine.generate({ ...request, addGenerationPrompt: true }, () => undefined, never);
    expect(await failure(answer)).toMatchObject({ code: 'CWM-5004' });
  });
});

describe('conversations that share the slot', () => {
  test('S0-42 the same ids under a salt that is new here reuse nothing', async () => {
    const rig = await makeRig();
    const ids = someIds(40);
    expect(await cached(rig.engine, ids, 'a')).toBe(0);
    expect(await cached(rig.engine, ids, 'a')).toBe(39);
    expect(await cached(rig.engine, ids, 'b')).toBe(0);
    expect(asked(rig).map(({ cache_prompt }) => cache_prompt)).toEqual([false, true, false]);
  });

  test('come back out of the server’s prompt cache when they take turns', async () => {
    const rig = await makeRig({ fake: { slots: 1 } });
    const [one, other] = [someIds(60), someIds(60)];
    await cached(rig.engine, one, 'a');
    await cached(rig.engine, other, 'b');
    expect(await cached(rig.engine, one, 'a')).toBe(59);
    expect(await cached(rig.engine, other, 'b')).toBe(59);
  });

  test('what an earlier process of ours left in the slot is not believed', async () => {
    const rig = await makeRig();
    const ids = someIds(40);
    await cached(rig.engine, ids, 'a');
    expect(await cached(rig.another(), ids, 'a')).toBe(0);
  });

  test('KV from a file is erased before another conversation comes, so that no cache stores it', async () => {
    const rig = await makeRig({ fake: { slots: 1 } });
    const [one, other] = [someIds(60), someIds(60)];
    const { handle } = await rig.engine.persist(contextOf(one, 'a'), never);
    await rig.engine.restore({ ids: one, salt: 'a', handle }, never);
    const before = erasures(rig).length;
    await cached(rig.engine, other, 'b');
    expect(erasures(rig)).toHaveLength(before + 1);
    expect(await cached(rig.engine, one, 'a')).toBe(0);
  });

  test('once a turn was built on it, it is as good as computed', async () => {
    const rig = await makeRig({ fake: { slots: 1 } });
    const messages = [{ role: 'user', content: 'x'.repeat(60) }] as const;
    const ids = await rig.engine.tokenize(messages, true, never);
    const { handle } = await rig.engine.persist(contextOf(ids, 'a'), never);
    await rig.engine.restore({ ids, salt: 'a', handle }, never);
    const request = { messages, salt: 'a', maxTokens: 2, temperature: 0, addGenerationPrompt: true };
    const { reuse } = await rig.engine.generate(request, () => undefined, never);
    expect(reuse).toMatchObject({ cachedTokens: ids.length - 1, tier: 'disk' });
    const before = erasures(rig).length;
    await cached(rig.engine, someIds(60), 'b');
    expect(erasures(rig)).toHaveLength(before);
    expect(await cached(rig.engine, ids, 'a')).toBe(ids.length - 1);
  });

  test('what is reused counts as from disk only while it came from there', async () => {
    const rig = await makeRig();
    const context = contextOf(someIds(40));
    const { handle } = await rig.engine.persist(context, never);
    expect((await rig.engine.measure(context, never)).reuse.tier).toBe('device');
    await rig.engine.restore({ ...context, handle }, never);
    expect((await rig.engine.measure(context, never)).reuse.tier).toBe('disk');
    await rig.fake.restart();
    expect((await rig.engine.measure(context, never)).reuse).toMatchObject({ cachedTokens: 0, tier: null });
    expect((await rig.engine.measure(context, never)).reuse).toMatchObject({ cachedTokens: 39, tier: 'device' });
  });
});

describe('what may be restored', () => {
  test('only the file of exactly these ids under exactly this salt, with the handle that was given for it', async () => {
    const rig = await makeRig();
    const context = contextOf(someIds(40), 'a');
    const { handle } = await rig.engine.persist(context, never);
    const other = contextOf(someIds(40), 'a');
    const { handle: handleOfOther } = await rig.engine.persist(other, never);
    const missing = [
      { ...context, handle: handleOfOther },
      { ...context, handle: null },
      { ...context, salt: 'b', handle },
      { ...context, ids: context.ids.slice(1), handle },
      { ...context, handle: '../../etc/passwd' },
      { ...context, handle: `${handle}0` },
    ];
    const restores = () => rig.fake.requestsTo('/slots/').filter(({ path }) => path.includes('restore')).length;
    const before = restores();
    for (const wrong of missing) expect((await rig.engine.restore(wrong, never)).outcome).toBe('missing');
    expect(restores()).toBe(before);
    expect((await rig.engine.restore({ ...context, handle }, never)).outcome).toBe('restored');
  });

  test('a foreign handle deletes nothing', async () => {
    const rig = await makeRig();
    const context = contextOf(someIds(40));
    await rig.engine.persist(context, never);
    expect(await rig.engine.forget({ hashes: [], handle: '../secret:10' }, never)).toBe(0);
    const location = await rig.engine.locate(context, never);
    expect(location.reachable && location.blocks[0]?.stat).not.toBeNull();
  });

  test('a slot folder that is not there is out of reach, not empty', async () => {
    const rig = await makeRig({ engine: { slotDir: '/nowhere/at/all' } });
    const context = contextOf(someIds(40));
    expect(await rig.engine.locate(context, never)).toEqual({
      reachable: false,
      why: 'The folder /nowhere/at/all is not there.',
    });
  });

  test('a folder that is not the server’s is told by the file that is not in it', async () => {
    const other = await makeRig();
    const rig = await makeRig({ engine: { slotDir: other.slotDir } });
    const { notes } = await rig.engine.persist(contextOf(someIds(40)), never);
    expect(notes.join(' ')).toContain('is it the one of --slot-save-path?');
  });

  test('is tried each time with a sliding window, so that the canary computes as many tokens as that of a thaw', async () => {
    const rig = await makeRig({ fake: { faults: { lostAfterRestore: 3 } } });
    const lost: number[] = [];
    for (const count of [40, 60, 80, 100]) {
      const { restored } = await rig.engine.persist(contextOf(someIds(count)), never);
      lost.push(count - (restored?.cachedTokens ?? 0));
    }
    expect(lost).toEqual([4, 4, 4, 4]);
    expect(erasures(rig)).toHaveLength(4);
  });

  test.each([true, false])(
    'is no file of a stranger of as many tokens, whose ids are packed in it: %s',
    async (packsIds) => {
      const rig = await makeRig({ fake: { faults: { packsIds, likeStrangersBeforeSave: 1 } } });
      const context = contextOf(someIds(60));
      const { handle } = await rig.engine.persist(context, never);
      expect(rig.fake.requestsTo('/slots/').filter(({ path }) => path.includes('save'))).toHaveLength(2);
      expect((await rig.engine.restore({ ...context, handle }, never)).outcome).toBe('restored');
      expect((await rig.engine.measure(context, never)).reuse.cachedTokens).toBe(59);
    },
  );
});

describe('a slot that another conversation takes', () => {
  const left = async (rig: Rig, ids: readonly number[], salt = 'a') => {
    await rig.engine.measure(contextOf(ids, salt), never);
    return rig.engine.leave(salt, ids.length, never);
  };

  test('is written as it is, and is the KV of a context that begins so', async () => {
    const rig = await makeRig({ fake: { slots: 1 } });
    const ids = someIds(60);
    const kv = await left(rig, ids);
    const context = { ids: [...ids.slice(0, 50), 1, 2, 3], salt: 'a' };
    const taken = await kv?.take(context, 26);
    expect(taken?.tokens).toBe(50);
    const handle = taken?.handle ?? null;
    const located = await rig.engine.locate({ ...context, handle }, never);
    expect(located.reachable && located.blocks[0]?.stat).not.toBeNull();
    await rig.engine.measure(contextOf(someIds(40), 'b'), never);
    const isSound = vi.fn(async () => true);
    expect((await rig.engine.restore({ ...context, handle }, never, isSound)).outcome).toBe('restored');
    expect(isSound).toHaveBeenCalledOnce();
    expect(await cached(rig.engine, context.ids, 'a')).toBe(50);
    // A file of the context itself lies beside it.
    await rig.engine.persist({ ...context, handle: null }, never);
    expect(await readdir(rig.slotDir)).toHaveLength(2);
    expect(await rig.engine.forget({ hashes: [], handle }, never)).toBeGreaterThan(0);
    expect(await readdir(rig.slotDir)).toHaveLength(1);
  });

  test('is not written where it has another conversation, other tokens, what a file brought, or is one of several', async () => {
    const rig = await makeRig({ fake: { slots: 1 } });
    const ids = someIds(60);
    expect(await left(rig, ids)).not.toBeNull();
    expect(await rig.engine.leave('b', 60, never)).toBeNull();
    expect(await rig.engine.leave('a', 59, never)).toBeNull();
    const { handle } = await rig.engine.persist(contextOf(ids, 'a'), never);
    await rig.engine.restore({ ...contextOf(ids, 'a'), handle }, never, async () => true);
    expect(await rig.engine.leave('a', 60, never)).toBeNull();
    const several = await makeRig({ fake: { slots: 2 } });
    expect(await left(several, ids)).toBeNull();
    const elsewhere = await makeRig({ fake: { slots: 1 }, engine: { slotDir: rig.slotDir } });
    for (let times = 0; times < 3; times++) expect(await left(elsewhere, ids)).toBeNull();
    // Nobody would delete them there.
    expect(await readdir(elsewhere.slotDir)).toHaveLength(1);
    const unseen = await makeRig({ fake: { slots: 1 }, folder: 'out of sight' });
    expect(await left(unseen, ids)).toBeNull();
  });

  test('leaves nothing where it has too little of the context, and is not restored into it', async () => {
    const rig = await makeRig({ fake: { slots: 1 } });
    const kv = await left(rig, someIds(60));
    expect(await kv?.take(contextOf(someIds(60), 'a'), 30)).toBeNull();
    expect(await readdir(rig.slotDir)).toEqual([]);
    await (await left(rig, someIds(60)))?.drop();
    expect(await readdir(rig.slotDir)).toEqual([]);
  });

  test('that is filled from an unsound file is empty again', async () => {
    const rig = await makeRig({ fake: { slots: 1 } });
    const context = contextOf(someIds(60), 'a');
    const { handle } = await rig.engine.persist(context, never);
    for (const isSound of [async () => false, async () => Promise.reject(new Error('It cannot be read.'))]) {
      expect((await rig.engine.restore({ ...context, handle }, never, isSound)).outcome).toBe('missing');
      expect(rig.fake.held[0]).toEqual([]);
    }
  });

  test('of a process that ended before it recorded the file: a later one deletes that, and no new one', async () => {
    const rig = await makeRig({ fake: { slots: 1 } });
    await left(rig, someIds(60));
    const [old = ''] = await readdir(rig.slotDir);
    const ago = new Date(Date.now() - 3_600_000);
    await utimes(join(rig.slotDir, old), ago, ago);
    await left(rig, someIds(60));
    // This process looked once.
    expect(await readdir(rig.slotDir)).toHaveLength(2);
    const later = rig.another();
    await later.measure(contextOf(someIds(50), 'a'), never);
    await later.leave('a', 50, never);
    const names = await readdir(rig.slotDir);
    expect(names).toHaveLength(2);
    expect(names).not.toContain(old);
  });
});
