import { statSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { defaultLimits, type SpaceLimits } from '../../../src/core/space/limits.ts';
import { CwmError } from '../../../src/protocol/errors.ts';
import type { Receipt } from '../../../src/protocol/schemas/receipt.ts';
import { codeOf, coreFixture, never, talkedSession, type CoreFixture } from '../coreFixture.ts';

async function embedded(limits: Partial<SpaceLimits> = {}): Promise<CoreFixture> {
  const fixture = await coreFixture(limits);
  fixture.engine.kind = 'embedded';
  return fixture;
}

/** A session `s` to freeze, on an engine of which it is known how large its blocks are. */
async function ready(limits: Partial<SpaceLimits> = {}): Promise<CoreFixture> {
  const fixture = await embedded(limits);
  await talkedSession(fixture, 'first');
  await fixture.cwm.freeze({ session: 'first', window: 'first' }, never());
  await talkedSession(fixture, 's');
  fixture.engine.calls = [];
  return fixture;
}

const freeze = ({ cwm }: CoreFixture): Promise<Receipt> => cwm.freeze({ session: 's', window: 'w' }, never());

async function refusal(promise: Promise<unknown>): Promise<CwmError & { readonly needed: number }> {
  const error: unknown = await promise.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof CwmError)) throw new Error(`It was not refused: ${String(error)}`);
  return Object.assign(error, { needed: Number(error.context?.['neededBytes']) });
}

async function expectUntouched({ cwm, engine }: CoreFixture): Promise<void> {
  expect(engine.calls).not.toContain('persist');
  expect(engine.calls).not.toContain('measure');
  expect((await cwm.listWindows({})).items.map(({ name }) => name)).toEqual(['first']);
  expect(await cwm.getSession({ session: 's' })).toMatchObject({ lifecycle: 'active', phase: 'Idle' });
}

describe('EC-020 room is looked for before the first byte is written', () => {
  async function neededBytes(): Promise<number> {
    const fixture = await ready();
    fixture.disk.freeBytes = 0;
    return (await refusal(freeze(fixture))).needed;
  }

  test('a disk with exactly what is needed is enough', async () => {
    const fixture = await ready();
    fixture.disk.freeBytes = await neededBytes();
    expect(await freeze(fixture)).toMatchObject({ verdict: 'proven' });
  });

  test('one byte less is refused, and the refusal says that one byte is missing', async () => {
    const fixture = await ready();
    fixture.disk.freeBytes = (await neededBytes()) - 1;
    const error = await refusal(freeze(fixture));
    expect(error.code).toBe('CWM-4003');
    expect(error.context).toMatchObject({ limit: 'disk', missingBytes: 1, availableBytes: fixture.disk.freeBytes });
    expect(error.message).toMatch(
      /^To freeze session "s", .+ is needed, and .+ is free on the disk .+: 1 B is missing\.$/,
    );
    expect(error.hint).toMatch(/prune/i);
    await expectUntouched(fixture);
    fixture.disk.freeBytes += 1;
    expect(await freeze(fixture)).toMatchObject({ verdict: 'proven' });
  });

  test('far too little is refused as well', async () => {
    const fixture = await ready();
    fixture.disk.freeBytes = 10;
    const error = await refusal(freeze(fixture));
    expect(error.context).toMatchObject({ missingBytes: error.needed - 10 });
    await expectUntouched(fixture);
  });

  test('a system that does not tell what is free refuses nothing', async () => {
    const fixture = await ready();
    fixture.disk.freeBytes = null;
    expect(await freeze(fixture)).toMatchObject({ verdict: 'proven' });
  });

  test('the KV that is expected is what is then written: missing blocks times the measured size of one', async () => {
    const fixture = await ready();
    fixture.disk.freeBytes = 0;
    const expected = (await refusal(freeze(fixture))).context?.['kvBytes'];
    fixture.disk.freeBytes = null;
    const { kvBytes, kvBytesWritten } = await freeze(fixture);
    expect(expected).toBe(kvBytesWritten);
    expect(expected).toBe(kvBytes);
    // All of it is there now, so that a second window of it needs none.
    await fixture.cwm.thaw({ window: 'w', resume: true }, never());
    fixture.disk.freeBytes = 0;
    const again = await refusal(fixture.cwm.freeze({ session: 's', window: 'w2', checkpoint: true }, never()));
    expect(again.context).toMatchObject({ kvBytes: 0 });
  });

  test('KV that an engine stores elsewhere, or whose size is not known, is not counted', async () => {
    const elsewhere = await ready();
    elsewhere.engine.kind = 'vllm';
    elsewhere.disk.freeBytes = 0;
    expect((await refusal(freeze(elsewhere))).context).toMatchObject({ kvBytes: 0 });
    const unseen = await embedded();
    await talkedSession(unseen, 's');
    unseen.disk.freeBytes = 0;
    expect((await refusal(freeze(unseen))).context).toMatchObject({ kvBytes: 0 });
  });

  test('a window of text alone and a clone need room too', async () => {
    const fixture = await ready();
    fixture.disk.freeBytes = 1000;
    const clone = await refusal(fixture.cwm.clone({ window: 'first', target: 'c' }, never()));
    expect(clone.message).toMatch(/^To clone window "first", /);
    const silent = await embedded();
    silent.engine.givesIds = false;
    await talkedSession(silent);
    silent.disk.freeBytes = 1000;
    expect(await codeOf(freeze(silent))).toBe('CWM-4003');
  });

  test('what is written of records is less than what was asked for', async () => {
    const fixture = await ready();
    fixture.disk.freeBytes = 0;
    const { context } = await refusal(freeze(fixture));
    fixture.disk.freeBytes = null;
    await freeze(fixture);
    const { items } = await fixture.cwm.usage({}, never());
    expect(items.find(({ name }) => name === 'w')?.recordBytes).toBeLessThan(Number(context?.['recordBytes']));
  });
});

describe('S0-50 the storage quota', () => {
  /** Something else in the storage directory fills the quota up to what a freeze needs, plus `more` bytes; measured a minute ago. */
  async function almostFull(more: number): Promise<CoreFixture & { readonly filler: string; readonly needed: number }> {
    const storageQuotaBytes = 10e6;
    const fixture = await ready({ storageQuotaBytes });
    const { directory, disk, cwm, clock } = fixture;
    disk.freeBytes = 0;
    const { needed } = await refusal(freeze(fixture));
    disk.freeBytes = null;
    const filler = path.join(directory, 'quarantine/by-hand');
    const { totalBytes } = await cwm.usage({}, never());
    writeFileSync(filler, Buffer.alloc(storageQuotaBytes - totalBytes - needed + more));
    clock.advance(60_000);
    fixture.engine.calls = [];
    return { ...fixture, filler, needed };
  }

  test('EC-020 what fits exactly is written, one byte less is refused before anything is', async () => {
    expect(await freeze(await almostFull(0))).toMatchObject({ verdict: 'proven' });
    const fixture = await almostFull(1);
    const error = await refusal(freeze(fixture));
    expect(error).toMatchObject({ code: 'CWM-4003', context: { limit: 'quota', missingBytes: 1 } });
    expect(error.message).toMatch(/left of the storage quota of 10 MB: 1 B is missing\.$/);
    await expectUntouched(fixture);
    const full = await almostFull(1e6);
    expect((await refusal(freeze(full))).context).toMatchObject({ availableBytes: 0, missingBytes: 1e6 });
  });

  test('what is freed counts at once', async () => {
    const fixture = await almostFull(1);
    expect(await codeOf(freeze(fixture))).toBe('CWM-4003');
    await fixture.cwm.deleteWindow({ window: 'first' }, never());
    await fixture.cwm.emptyTrash({ all: true });
    expect(await freeze(fixture)).toMatchObject({ verdict: 'proven' });
  });

  test('it is measured again before more is let in than there was room for, and after a minute', async () => {
    const fixture = await almostFull(0);
    const { cwm, clock, filler, needed } = fixture;
    const clone = (target: string): Promise<string> => codeOf(cwm.clone({ window: 'first', target }, never()));
    truncateSync(filler, statSync(filler).size - 1.5 * needed);
    expect(await clone('c1')).toBe('no error');
    // Nobody looks for this, until what was let in since is more than there was room for.
    truncateSync(filler, statSync(filler).size + 2 * needed);
    expect(await clone('c2')).toBe('no error');
    expect(await clone('c3')).toBe('CWM-4003');
    truncateSync(filler, 0);
    expect(await clone('c3')).toBe('no error');
    truncateSync(filler, 10e6);
    expect(await clone('c4')).toBe('no error');
    clock.advance(60_000);
    expect(await clone('c5')).toBe('CWM-4003');
  });
});

describe('N15 how many there may be', () => {
  test('1,000 sessions and 10,000 windows at most, and a note from 100 and 1,000 on', () => {
    expect(defaultLimits).toMatchObject({
      sessions: { soft: 100, hard: 1000 },
      windows: { soft: 1000, hard: 10_000 },
      kvBudgetBytes: 50e9,
      storageQuotaBytes: 100e9,
    });
  });

  test('EC-021 sessions: a note beyond the soft limit, a refusal beyond the hard one that names the oldest', async () => {
    const { cwm } = await coreFixture({ sessions: { soft: 2, hard: 3 } });
    expect(await cwm.createSession({ id: 'a' })).not.toHaveProperty('notes');
    await cwm.createSession({ id: 'b' });
    const third = await cwm.createSession({ id: 'c' });
    expect(third.notes).toEqual(['You have 3 sessions; the limit is 3.']);
    await cwm.send({ session: 'a', text: 'I am in use.' }, never());
    const error = await refusal(cwm.createSession({ id: 'd' }));
    expect(error).toMatchObject({ code: 'CWM-7010', context: { limit: 3, oldest: 'b' } });
    expect(error.message).toMatch(/^There are 3 sessions, which is the limit\. The oldest is "b", of 2026-/);
    expect((await cwm.listSessions({})).total).toBe(3);
    await cwm.deleteSession({ session: 'b' }, never());
    await cwm.createSession({ id: 'd' });
  });

  test('EC-021 windows: of a checkpoint, a freeze and a clone alike', async () => {
    const fixture = await coreFixture({ windows: { soft: 2, hard: 4 } });
    const { cwm, engine } = fixture;
    await talkedSession(fixture);
    const made = [
      await cwm.freeze({ session: 's', window: 'w1', checkpoint: true }, never()),
      await cwm.freeze({ session: 's', window: 'w2', checkpoint: true }, never()),
      await cwm.clone({ window: 'w1', target: 'w3' }, never()),
      await cwm.freeze({ session: 's', window: 'w4', checkpoint: true }, never()),
    ];
    expect(made.map(({ notes }) => notes.filter((note) => note.startsWith('You have')))).toEqual([
      [],
      [],
      [expect.stringMatching(/^You have 3 windows; the limit is 4\..+cwm prune/)],
      [expect.stringContaining('You have 4 windows')],
    ]);
    engine.calls = [];
    const error = await refusal(cwm.freeze({ session: 's', window: 'w5' }, never()));
    expect(error).toMatchObject({ code: 'CWM-7010', context: { oldest: 'w1' } });
    expect(engine.calls).toEqual([]);
    expect(await codeOf(cwm.clone({ window: 'w1', target: 'w5' }, never()))).toBe('CWM-7010');
    expect(await cwm.getSession({ session: 's' })).toMatchObject({ lifecycle: 'active' });
  });

  test('a thaw into a new session is one more; one that resumes is not', async () => {
    const fixture = await coreFixture({ sessions: { soft: 1, hard: 2 } });
    const { cwm } = fixture;
    await talkedSession(fixture);
    await cwm.freeze({ session: 's', window: 'w' }, never());
    const { notes } = await cwm.thaw({ window: 'w', session: 't' }, never());
    expect(notes).toContainEqual(expect.stringContaining('You have 2 sessions'));
    expect(await codeOf(cwm.thaw({ window: 'w', session: 'u' }, never()))).toBe('CWM-7010');
    const resumed = await cwm.thaw({ window: 'w', resume: true }, never());
    expect(resumed.notes).not.toContainEqual(expect.stringContaining('session number'));
  });

  test('of many at once, exactly as many are created as the limit allows', async () => {
    const { cwm } = await coreFixture({ sessions: { soft: 5, hard: 5 } });
    const codes = await Promise.all(
      Array.from({ length: 20 }, (_, index) => codeOf(cwm.createSession({ id: `s${index}` }))),
    );
    expect(codes.filter((code) => code === 'no error')).toHaveLength(5);
    expect(codes.filter((code) => code === 'CWM-7010')).toHaveLength(15);
  });
});
