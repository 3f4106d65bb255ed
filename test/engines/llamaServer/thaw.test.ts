import { readdir, readFile, rename, rm, stat, truncate, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { systemSleep } from '../../../src/base/clock.ts';
import type { FakeLlamaFaults } from '../../fakes/fakeLlamaServer.ts';
import { coreOver, type CoreOver } from './coreOver.ts';
import { makeRig, never, type Rig, type RigOptions } from './rig.ts';

interface Bench extends CoreOver {
  readonly rig: Rig;
}

async function bench(options: RigOptions = {}): Promise<Bench> {
  const rig = await makeRig(options);
  const core = await coreOver(rig.engine);
  onTestFinished(() => core.dispose());
  return { ...core, rig };
}

/** A window that was kept, and a server that was started anew since. */
async function kept(options: RigOptions = {}, change: Partial<FakeLlamaFaults> = {}): Promise<Bench> {
  const made = await bench(options);
  await made.keep();
  await made.rig.fake.restart(change);
  return made;
}

const slotFile = async ({ rig }: Bench): Promise<string> => {
  const [name] = await readdir(rig.slotDir);
  return join(rig.slotDir, name ?? '');
};

/** Changes the file's bytes; `silently` puts its times back, as a failing disk does. */
async function spoil(file: string, change: (bytes: Buffer) => void): Promise<void> {
  const bytes = await readFile(file);
  change(bytes);
  await writeFile(file, bytes);
}

const flipOneBit = (bytes: Buffer): void => {
  const at = bytes.length - 1000;
  bytes[at] = (bytes[at] ?? 0) ^ 0x20;
};

describe('a model with a sliding window, which computes a few of the last tokens again each time', () => {
  test('is thawed as whole as it can be: the floor is what the freeze saw, and nothing is written again', async () => {
    const made = await kept({ fake: { faults: { lostTokens: 1 } } });
    const receipt = await made.thaw();
    expect(receipt).toMatchObject({ verdict: 'proven', kvBytesWritten: 0 });
    expect(receipt.floorTokens).toBe((receipt.promptTokens ?? 0) - 2);
    expect(receipt.cachedTokens).toBe(receipt.floorTokens);
  });

  test.each(['reachable', 'out of sight'] as const)(
    'loses more after a restore than in memory (folder %s): the freeze learns it, and the first thaw has the true word',
    async (folder) => {
      const made = await bench({ folder, fake: { faults: { lostAfterRestore: 1 } } });
      const frozen = await made.keep();
      expect(frozen.verdict).toBe(folder === 'reachable' ? 'proven' : 'reused');
      expect(frozen.notes.join(' ')).toContain('the last 2 are computed again');
      const before = await stat(await slotFile(made));
      for (const thaw of [await made.thaw(), await made.thaw()]) {
        expect(thaw).toMatchObject({ verdict: folder === 'reachable' ? 'proven' : 'reused', kvBytesWritten: 0 });
        expect(thaw.cachedTokens).toBe(thaw.floorTokens);
        expect(thaw.notes.join(' ')).toContain('the last 2 are computed again');
      }
      const { mtimeMs, ino } = await stat(await slotFile(made));
      expect([mtimeMs, ino]).toEqual([before.mtimeMs, before.ino]);
    },
  );

  test('a window of an earlier version learns its floor at its first thaw, and nothing is written again', async () => {
    const made = await kept();
    made.rig.fake.faults.lostAfterRestore = 1;
    expect(await made.thaw()).toMatchObject({ verdict: 'partial', kvBytesWritten: 0, content: { canary: 'agreed' } });
    expect(await made.thaw()).toMatchObject({ verdict: 'proven', kvBytesWritten: 0 });
  });

  test('a server that reuses nothing of what it restores is found at the freeze, and not tried a second time', async () => {
    const made = await bench({ fake: { faults: { restore: 'gives-no-reuse' } } });
    const frozen = await made.keep();
    expect(frozen.notes.join(' ')).toContain('a thaw computes the context again');
    const restores = () =>
      made.rig.fake.requestsTo('/slots/').filter(({ path }) => path.includes('action=restore')).length;
    expect(restores()).toBe(1);
    expect((await made.cwm.freeze({ session: 's', window: 'w2', checkpoint: true }, never)).notes).toEqual(
      expect.arrayContaining([expect.stringContaining('a thaw computes the context again')]),
    );
    expect(restores()).toBe(1);
  });

  test('a server that refuses what it wrote a moment ago costs no freeze, and the receipt says so', async () => {
    const made = await bench({ fake: { faults: { restore: 'refuses' } } });
    expect((await made.keep()).notes.join(' ')).toContain('the server did not read it back');
  });

  test('says at the freeze what a thaw can reuse at most', async () => {
    const made = await bench({ fake: { faults: { lostTokens: 2 } } });
    expect((await made.keep()).notes.join(' ')).toContain('the last 3 are computed again');
  });

  test('more than a few lost tokens are no property of the model', async () => {
    const made = await bench({ fake: { faults: { lostTokens: 20 } } });
    const receipt = await made.keep();
    expect(receipt.floorTokens).toBe((receipt.promptTokens ?? 0) - 1);
    expect(receipt.verdict).toBe('partial');
  });
});

describe('freeze', () => {
  test('one file holds the whole context, and the receipt says that it is on disk', async () => {
    const made = await bench();
    const receipt = await made.keep();
    const { size } = await stat(await slotFile(made));
    expect(receipt).toMatchObject({
      verdict: 'proven',
      tier: 'disk',
      blockTokens: 1,
      cachedTokensFrom: 'timings',
      kvBytes: size,
      kvBytesWritten: size,
      content: { checksums: 'agreed', canary: 'agreed', blocksMissing: 0 },
    });
    expect(receipt.cachedTokens).toBe(receipt.floorTokens);
    expect(receipt.floorTokens).toBe((receipt.promptTokens ?? 0) - 1);
    expect(receipt.notes.join(' ')).toContain('does not isolate conversations in memory');
  });

  test('a server without a slot folder: the text is stored, and no durable KV is promised', async () => {
    const made = await bench({ folder: 'none' });
    const receipt = await made.keep();
    expect(receipt).toMatchObject({ verdict: 'reused', tier: 'device', kvBytes: null });
    expect(receipt.notes.join(' ')).toContain('--slot-save-path');
  });

  test('a server that cannot save, or saves nothing, costs no window', async () => {
    for (const save of ['fails', 'writes-nothing'] as const) {
      const made = await bench({ fake: { faults: { save } } });
      const receipt = await made.keep();
      expect(receipt).toMatchObject({ tier: 'device', content: { blocksMissing: 1 } });
      expect(receipt.notes.join(' ')).toContain('lasts only as long as llama-server keeps it in memory');
    }
  });

  test("somebody else's prompt that gets between the seal and the save is noticed, and no file of it stays", async () => {
    const made = await bench({ fake: { faults: { strangerBeforeSave: true } } });
    const receipt = await made.keep();
    expect(receipt.notes.join(' ')).toContain('Somebody else uses slot');
    expect(await readdir(made.rig.slotDir)).toEqual([]);
  });
});

describe('a freeze beside a busy neighbour', () => {
  test('makes other conversations of this client wait until its canaries were asked', async () => {
    const made = await bench({ fake: { slots: 1 }, engine: { sleep: systemSleep } });
    const { cwm, rig } = made;
    await cwm.createSession({ id: 't' });
    await cwm.send({ session: 't', text: 'Something else.', maxTokens: 4 }, never);
    await cwm.createSession({ id: 's' });
    await cwm.send({ session: 's', text: 'Please count.', maxTokens: 12 }, never);
    const saves = rig.fake.requestsTo('/slots/').length;
    const freezing = cwm.freeze({ session: 's', window: 'w', checkpoint: true }, never);
    await rig.fake.untilRequests('/slots/', saves + 1);
    // Some are refused while the first of them runs.
    const others = Promise.allSettled(
      [1, 2, 3].map((at) => cwm.send({ session: 't', text: `And ${at}?`, maxTokens: 4 }, never)),
    );
    const receipt = await freezing;
    await others;
    expect(receipt).toMatchObject({ verdict: 'proven', content: { canaryDifference: 0 } });
    expect(receipt.cachedTokens).toBe(receipt.floorTokens);
  });

  test.each([1, 2, 3])(
    'stores the context again where another program took the slot before its canary: %s times',
    async (strangers) => {
      const made = await bench({ fake: { faults: { strangersBeforeCanary: strangers } } });
      const receipt = await made.keep();
      expect(receipt).toMatchObject({ verdict: 'proven', content: { checksums: 'agreed', canaryDifference: 0 } });
      expect(receipt.notes.join(' ')).not.toContain('Another program');
      await made.rig.fake.restart();
      expect((await made.thaw()).verdict).toBe('proven');
    },
  );

  test('that takes the slot each time costs no window, and the receipt says what it cost', async () => {
    const made = await bench();
    const persist = made.rig.engine.persist.bind(made.rig.engine);
    vi.spyOn(made.rig.engine, 'persist').mockImplementation(async (...args) => {
      const persisted = await persist(...args);
      made.rig.fake.faults.strangersBeforeCanary = 1;
      return persisted;
    });
    expect((await made.keep()).notes.join(' ')).toContain('Another program used the slot while the freeze asked');
    await made.rig.fake.restart();
    expect((await made.thaw()).verdict).toBe('proven');
  });

  test('keeps no file of as many tokens that are somebody else’s', async () => {
    const made = await bench({ fake: { faults: { likeStrangersBeforeSave: 1 } } });
    expect((await made.keep()).verdict).toBe('proven');
    await made.rig.fake.restart();
    expect(await made.thaw()).toMatchObject({ verdict: 'proven', repair: 'none' });
  });

  test('that has as many tokens each time is found out, and no file of it stays', async () => {
    const made = await bench({ fake: { faults: { likeStrangersBeforeSave: 9 } } });
    const receipt = await made.keep();
    expect(receipt.notes.join(' ')).toContain('Somebody else uses slot');
    expect(await readdir(made.rig.slotDir)).toEqual([]);
  });
});

describe('thaw after a restart of the server', () => {
  test('the slot file brings the context back: proven, from disk, and the conversation continues warm', async () => {
    const made = await kept();
    const receipt = await made.thaw();
    expect(receipt).toMatchObject({
      verdict: 'proven',
      tier: 'disk',
      repair: 'none',
      content: { checksums: 'agreed', canary: 'agreed', canaryDifference: 0 },
    });
    expect(receipt.cachedTokens).toBe(receipt.floorTokens);
    const next = await made.answer(receipt.session);
    expect(next.cachedTokens).toBeGreaterThanOrEqual((receipt.promptTokens ?? 0) - 1);
  });

  test('the same from a folder that is out of sight here', async () => {
    const made = await kept({ folder: 'out of sight' });
    expect(await made.thaw()).toMatchObject({
      verdict: 'reused',
      tier: 'disk',
      content: { checksums: 'not-run', canary: 'agreed' },
    });
  });

  test('without a slot folder: rebuilt', async () => {
    const made = await kept({ folder: 'none' });
    expect(await made.thaw()).toMatchObject({ verdict: 'rebuilt', cachedTokens: 0 });
  });

  test('S0-42 a restore that says 200 and does nothing is rebuilt, not proven', async () => {
    const made = await kept({}, { restore: 'does-nothing' });
    expect(await made.thaw()).toMatchObject({ verdict: 'rebuilt', cachedTokens: 0 });
  });

  test('the same while the server still has the context in memory: what it had is not taken for what was restored', async () => {
    const made = await bench();
    await made.keep();
    made.rig.fake.faults.restore = 'does-nothing';
    expect(await made.thaw()).toMatchObject({ verdict: 'rebuilt', cachedTokens: 0 });
  });

  test('a model whose restore gives no reuse (hybrid, recurrent, sliding window) is rebuilt each time', async () => {
    const made = await kept({}, { restore: 'gives-no-reuse' });
    expect(await made.thaw()).toMatchObject({ verdict: 'rebuilt', cachedTokens: 0 });
    await made.rig.fake.restart();
    expect(await made.thaw()).toMatchObject({ verdict: 'rebuilt' });
  });

  test('timings that are missing or do not add up are unobserved', async () => {
    for (const timings of ['none', 'do-not-add-up'] as const) {
      const made = await kept({}, { timings });
      expect(await made.thaw()).toMatchObject({ verdict: 'unobserved', cachedTokens: null, cachedTokensFrom: 'none' });
    }
  });

  test('a missing file is computed and written again', async () => {
    const made = await kept();
    await rm(await slotFile(made));
    expect(await made.thaw()).toMatchObject({ verdict: 'rebuilt', content: { blocksMissing: 1 } });
    await made.rig.fake.restart();
    expect(await made.thaw()).toMatchObject({ verdict: 'proven', tier: 'disk' });
  });
});

describe('damage', () => {
  test('a file that is a little short never reaches the server, which it would end', async () => {
    const made = await kept();
    const file = await slotFile(made);
    await truncate(file, (await stat(file)).size - 1);
    expect(await made.thaw()).toMatchObject({
      verdict: 'rebuilt',
      repair: 'blocks-deleted',
      content: { checksums: 'disagreed', blocksDamaged: 1 },
    });
    expect(made.rig.fake.aborts).toBe(0);
    await made.rig.fake.restart();
    expect((await made.thaw()).verdict).toBe('proven');
  });

  test('a flipped bit is found by the checksum, and the file is deleted and written again', async () => {
    const made = await kept();
    await spoil(await slotFile(made), flipOneBit);
    expect(await made.thaw()).toMatchObject({
      verdict: 'rebuilt',
      repair: 'blocks-deleted',
      content: { checksums: 'disagreed', canary: 'not-run' },
    });
    await made.rig.fake.restart();
    expect((await made.thaw()).verdict).toBe('proven');
  });

  test('a flipped bit in a folder out of sight is found by the canary, and nothing is answered from it', async () => {
    const made = await kept({ folder: 'out of sight' });
    await spoil(await slotFile(made), flipOneBit);
    const receipt = await made.thaw();
    expect(receipt).toMatchObject({
      verdict: 'damaged',
      repair: 'salt-advanced',
      content: { canary: 'disagreed' },
      cachedTokens: 0,
    });
    await made.rig.fake.restart();
    expect((await made.thaw()).verdict).toBe('reused');
  });

  test('other weights under the same name and of the same shape are caught by the canary', async () => {
    const made = await kept({}, { weights: 'weights-2' });
    expect(await made.thaw()).toMatchObject({ verdict: 'damaged', repair: 'salt-advanced' });
  });

  const style = { id: 0, path: '/loras/style.gguf', scale: 1 };
  test.each([
    ['another scale', [style], [{ ...style, scale: 0.5 }]],
    ['an adapter that came', [], [style]],
    ['an adapter that was switched off', [style], [{ ...style, scale: 0 }]],
  ])(
    'LoRA adapters are a part of the model: %s is a mismatch, and no turn continues there',
    async (_what, then, now) => {
      const made = await kept({ fake: { faults: { adapters: then } } }, { adapters: now });
      const thawed = await made.thaw();
      expect(thawed).toMatchObject({ verdict: 'mismatch' });
      expect(thawed.notes.join(' ')).toContain('LoRA adapters');
      await expect(made.answer('s')).rejects.toMatchObject({ code: 'CWM-5003' });
    },
  );

  test('K1 a server that refuses log-probabilities costs no freeze and no thaw, and is asked for them once', async () => {
    const made = await bench({ fake: { faults: { refusesLogprobs: true } } });
    const asked = () =>
      made.rig.fake.requestsTo('/completion').filter(({ body }) => 'n_probs' in (body as object)).length;
    expect(await made.keep()).toMatchObject({ verdict: 'proven', content: { checksums: 'agreed', canary: 'not-run' } });
    expect(await made.thaw()).toMatchObject({ verdict: 'proven', content: { checksums: 'agreed', canary: 'not-run' } });
    expect(asked()).toBe(1);
  });

  test.each([
    ['of other RoPE', '', '--rope-scale 2'],
    ['of another type', '--cache-type-k q8_0', ''],
  ])(
    'K6 a slot file that was saved with KV %s is not given to the server: it computes, and says why',
    async (_, then, now) => {
      const rig = await makeRig({ engine: { kvOptions: then } });
      let engine = rig.engine;
      const made = await coreOver(() => engine);
      onTestFinished(() => made.dispose());
      await made.keep();
      const [old] = await readdir(rig.slotDir);
      const restored = () =>
        rig.fake
          .requestsTo('/slots/')
          .filter(({ path }) => path.includes('action=restore'))
          .map(({ body }) => (body as { readonly filename?: string }).filename);
      const before = restored().length;
      engine = rig.another({ kvOptions: now });
      await rig.fake.restart({});
      const first = await made.thaw();
      expect(first).toMatchObject({ verdict: 'rebuilt', cachedTokens: 0 });
      expect(first.notes.join(' ')).toContain(`under other start options of llama-server, which has ${now || 'none'}`);
      expect(restored().slice(before)).not.toContain(old);
      await rig.fake.restart({});
      expect(await made.thaw(), 'the file of the new options serves from now on').toMatchObject({ verdict: 'proven' });
    },
  );

  test('a server that does not tell its adapters is taken as it is', async () => {
    const made = await kept({ fake: { faults: { adapters: [style] } } }, { adapters: null });
    expect((await made.thaw()).verdict).toBe('proven');
  });

  test('weights of another shape are another model', async () => {
    const made = await kept({}, { weights: 'weights of another shape' });
    expect(await made.thaw()).toMatchObject({ verdict: 'mismatch' });
  });

  test('two files that changed places are both refused, and neither conversation gets the words of the other', async () => {
    for (const folder of ['reachable', 'out of sight'] as const) {
      const made = await bench({ folder });
      await made.keep();
      const first = await slotFile(made);
      await made.cwm.send({ session: 's', text: 'one more', maxTokens: 8 }, never);
      await made.cwm.freeze({ session: 's', window: 'other', checkpoint: true }, never);
      const second = join(
        made.rig.slotDir,
        (await readdir(made.rig.slotDir)).find((name) => !first.endsWith(name)) ?? '',
      );
      await rename(first, `${first}.swap`);
      await rename(second, first);
      await rename(`${first}.swap`, second);
      await made.rig.fake.restart();
      for (const window of ['w', 'other']) {
        const receipt = await made.cwm.thaw({ window }, never);
        expect(receipt.verdict).toBe('rebuilt');
        expect(receipt.cachedTokens).toBe(0);
        await made.rig.fake.restart();
      }
    }
  });

  test('a short file out of sight ends the server once, and is not given to it again', async () => {
    const made = await kept({ folder: 'out of sight' });
    const file = await slotFile(made);
    await truncate(file, (await stat(file)).size - 1);
    expect(await made.thaw()).toMatchObject({ verdict: 'text-only', notes: [expect.stringContaining('CWM-5001')] });
    expect(made.rig.fake.aborts).toBe(1);
    await made.rig.fake.restart();
    const receipt = await made.thaw();
    expect(receipt.verdict).toBe('rebuilt');
    expect(receipt.notes.join(' ')).toContain('not given that again');
    expect(made.rig.fake.aborts).toBe(1);
    await made.rig.fake.restart();
    expect((await made.thaw()).verdict).toBe('reused');
  });

  test('stat fields that were touched cost one reading, not the context', async () => {
    const made = await kept();
    await utimes(await slotFile(made), new Date(), new Date());
    expect(await made.thaw()).toMatchObject({ verdict: 'proven', content: { blocksHashed: 1 } });
    await made.rig.fake.restart();
    expect(await made.thaw()).toMatchObject({ verdict: 'proven', content: { blocksHashed: 0 } });
  });
});

describe('a restore that the server refuses (llama.cpp#27068)', () => {
  test('the context is computed again in another slot, and the canary has been asked', async () => {
    const made = await kept({}, { restore: 'refuses', refusedRestoreDamages: 'answers' });
    const receipt = await made.thaw();
    expect(receipt).toMatchObject({ verdict: 'rebuilt', content: { canary: 'not-run' } });
    expect(receipt.content.canaryDifference).not.toBeNull();
    expect(receipt.content.why).toContain('refused the stored KV');
    expect(receipt.notes.join(' ')).toContain('Unable to restore slot');
  });

  test('with no sound slot left, the canary says damaged, and its KV does not become the record', async () => {
    const options = { fake: { slots: 1 } };
    const made = await kept(options, { restore: 'refuses', refusedRestoreDamages: 'answers' });
    const receipt = await made.thaw();
    expect(receipt).toMatchObject({ verdict: 'damaged', content: { canary: 'disagreed' } });
    expect(receipt.notes.join(' ')).toContain('needs a restart');
    expect(await readdir(made.rig.slotDir)).toEqual([]);

    await made.rig.fake.restart({ restore: 'works' });
    expect((await made.thaw()).verdict).toBe('rebuilt');
    await made.rig.fake.restart();
    expect((await made.thaw()).verdict).toBe('proven');
  });

  test('logits that are no numbers are the server’s failure, and the hint is to restart it', async () => {
    const options = { fake: { slots: 1 } };
    const made = await kept(options, { restore: 'refuses', refusedRestoreDamages: 'numbers' });
    const { verdict, notes } = await made.thaw();
    expect(verdict).toBe('text-only');
    expect(notes.join(' ')).toMatch(/restart llama-server.*CWM-5004/);
    await made.rig.fake.restart({ restore: 'works' });
    expect((await made.thaw()).verdict).toBe('proven');
  });
});

describe('clones and deletion', () => {
  test('S0-11 a clone shares the file, which goes with the last window that needs it', async () => {
    const made = await bench();
    await made.keep();
    await made.cwm.deleteWindow({ window: 'w' }, never);
    await made.cwm.freeze({ session: 's', window: 'w' }, never);
    const { size } = await stat(await slotFile(made));
    expect(await made.cwm.clone({ window: 'w', target: 'c' }, never)).toMatchObject({ kvBytesWritten: 0 });
    expect(await made.cwm.deleteWindow({ window: 'w' }, never)).toMatchObject({ bytesFreed: 0, blocksKept: 1 });
    await made.rig.fake.restart();
    // Into a copy, since the window's own session, once it is open, needs the file as well.
    const thawed = await made.cwm.thaw({ window: 'c', copy: true }, never);
    expect(thawed).toMatchObject({ verdict: 'proven', tier: 'disk' });
    expect(await made.cwm.deleteWindow({ window: 'c' }, never)).toMatchObject({ bytesFreed: size, blocksDeleted: 1 });
    expect(await readdir(made.rig.slotDir)).toEqual([]);
  });

  test('a file is deleted while the server is down', async () => {
    const made = await bench();
    await made.keep();
    await made.cwm.freeze({ session: 's', window: 'end' }, never);
    await made.rig.fake.stop();
    await made.cwm.deleteWindow({ window: 'w' }, never);
    expect(await made.cwm.deleteWindow({ window: 'end' }, never)).toMatchObject({ blocksDeleted: 1 });
    expect(await readdir(made.rig.slotDir)).toEqual([]);
  });
});
