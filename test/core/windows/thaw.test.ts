import { readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { CwmError } from '../../../src/protocol/errors.ts';
import { codeOf, coreFixture, type CoreFixture, never, savedWindow } from '../coreFixture.ts';

const thaw = (fixture: CoreFixture, session?: string) =>
  fixture.cwm.thaw({ window: 'w', ...(session !== undefined && { session }) }, never());

describe('a thaw opens a session', () => {
  test('after a restart of the engine, the context comes back from disk: proven', async () => {
    const fixture = await coreFixture();
    await savedWindow(fixture);
    fixture.engine.restart();
    const receipt = await thaw(fixture);
    expect(receipt).toMatchObject({
      verdict: 'proven',
      tier: 'disk',
      repair: 'none',
      content: { checksums: 'agreed', canary: 'agreed', canaryDifference: 0 },
    });
    expect(receipt.cachedTokens).toBe(receipt.floorTokens);
    expect(receipt.content.blocksHashed).toBe(0);
  });

  test('the new session has the text and the exact ids of the window, and continues warm', async () => {
    const fixture = await coreFixture();
    await savedWindow(fixture);
    const { session } = await thaw(fixture);
    const texts = async (id: string) =>
      (await fixture.cwm.listMessages({ session: id })).items.map((message) => message.content);
    expect(await texts(session)).toEqual(await texts('s'));
    const result = await fixture.cwm.send({ session, text: 'and now?' }, never());
    const { manifest } = await fixture.cwm.getWindow({ window: 'w' });
    expect(result.prefixBreak).toBeNull();
    expect(result.cachedTokens).toBe(Math.floor(manifest.tokens.count / 4) * 4);
    expect((await fixture.cwm.getSession({ session })).lifecycle).toBe('active');
  });

  test('D4 resume continues the frozen session itself, once', async () => {
    const fixture = await coreFixture();
    await savedWindow(fixture);
    await fixture.cwm.freeze({ session: 's', window: 'end' }, never());
    expect(await codeOf(fixture.cwm.thaw({ window: 'w', resume: true }, never()))).toBe('CWM-3001');
    const receipt = await fixture.cwm.thaw({ window: 'end', resume: true }, never());
    expect(receipt.session).toBe('s');
    expect(await fixture.cwm.getSession({ session: 's' })).toMatchObject({ lifecycle: 'thawed', frozenAs: null });
    expect(await codeOf(fixture.cwm.thaw({ window: 'end', resume: true }, never()))).toBe('CWM-3001');
  });

  test('EC-042 a wall clock that is set back an hour during a thaw changes no duration, and stamps are UTC', async () => {
    const fixture = await coreFixture();
    await savedWindow(fixture);
    fixture.engine.onCall = async () => fixture.clock.setBack(3_600_000);
    const receipt = await thaw(fixture);
    expect(receipt.verdict).toBe('proven');
    expect(receipt.ms).toBeGreaterThan(0);
    expect(receipt.ms).toBeLessThan(60_000);
    expect(receipt.at).toMatch(/Z$/);
  });

  test('unknown windows and taken ids are refused', async () => {
    const fixture = await coreFixture();
    await savedWindow(fixture);
    expect(await codeOf(fixture.cwm.thaw({ window: 'nothing' }, never()))).toBe('CWM-2002');
    expect(await codeOf(thaw(fixture, 's'))).toBe('CWM-3004');
  });

  test('receipts are stored, oldest first', async () => {
    const fixture = await coreFixture();
    await savedWindow(fixture);
    await thaw(fixture);
    const { receipts, summary } = await fixture.cwm.getWindow({ window: 'w' });
    expect(receipts.map((receipt) => receipt.operation)).toEqual(['checkpoint', 'thaw']);
    expect(summary.lastThaw?.verdict).toBe('proven');
  });

  test('an abort leaves no session behind', async () => {
    const fixture = await coreFixture();
    await savedWindow(fixture);
    const controller = new AbortController();
    fixture.engine.onCall = async () => controller.abort();
    await expect(fixture.cwm.thaw({ window: 'w' }, controller.signal)).rejects.toThrow();
    expect((await fixture.cwm.listSessions({})).total).toBe(1);
  });
});

describe('thaws at once', () => {
  test('S0-05 two thaws of a window into copies in one moment open two sessions', async () => {
    const fixture = await coreFixture();
    await savedWindow(fixture);
    vi.spyOn(fixture.clock, 'now').mockReturnValue(new Date('2026-11-21T09:00:00Z'));
    const thaws = [0, 1].map(() => fixture.cwm.thaw({ window: 'w', copy: true }, never()));
    const sessions = (await Promise.all(thaws)).map(({ session }) => session);
    expect(new Set(sessions).size).toBe(2);
    for (const session of sessions) expect(session).toMatch(/^thaw-w-20261121T090000000Z-[0-9a-f]{4}$/);
  });

  test('S0-08 EC-002 two thaws of one window into copies give two sessions', async () => {
    const fixture = await coreFixture();
    await savedWindow(fixture);
    const [a, b] = await Promise.all([1, 2].map(() => fixture.cwm.thaw({ window: 'w', copy: true })));
    expect(a?.session).not.toBe(b?.session);
    expect((await fixture.cwm.listSessions({})).total).toBe(3);
  });

  test('EC-005 of two thaws at once that compute lost KV again, either leaves one whole record of it', async () => {
    const fixture = await coreFixture();
    fixture.engine.recomputesInexactly = true;
    await savedWindow(fixture);
    fixture.engine.restart();
    fixture.engine.lose(2);
    const verdicts = (await Promise.all([thaw(fixture), thaw(fixture)])).map(({ verdict }) => verdict);
    expect(new Set(verdicts)).toEqual(new Set(['partial', 'proven']));
    fixture.engine.restart();
    expect(await thaw(fixture)).toMatchObject({ content: { checksums: 'agreed', blocksDamaged: 0, blocksMissing: 0 } });
  });

  test('EC-005 a thaw, a thaw of a clone and a freeze at once do not take what another computes again for damage', async () => {
    const fixture = await coreFixture();
    const { cwm, engine } = fixture;
    engine.recomputesInexactly = true;
    await savedWindow(fixture);
    await cwm.clone({ window: 'w', target: 'c' }, never());
    engine.restart();
    engine.lose(1);
    const receipts = await Promise.all([
      cwm.freeze({ session: 's', window: 'v', checkpoint: true }, never()),
      cwm.thaw({ window: 'c' }, never()),
      thaw(fixture),
    ]);
    expect(receipts.map(({ content }) => content.blocksDamaged)).toEqual([0, 0, 0]);
    expect(receipts.map(({ verdict }) => verdict)).not.toContain('damaged');
  });
});

describe('a thaw without the KV', () => {
  test('without an engine the conversation opens all the same: text-only', async () => {
    const fixture = await coreFixture();
    await savedWindow(fixture);
    fixture.engine.fault = 'EngineUnavailable';
    const receipt = await thaw(fixture, 'offline');
    expect(receipt).toMatchObject({ verdict: 'text-only', cachedTokens: null, session: 'offline' });
    expect((await fixture.cwm.listMessages({ session: 'offline' })).total).toBe(2);
  });

  test('a server without token ids: the conversation is stored and opened from its text, and nothing is claimed', async () => {
    const fixture = await coreFixture();
    fixture.engine.givesIds = false;
    await savedWindow(fixture);
    const receipt = await thaw(fixture, 'opened');
    expect(receipt).toMatchObject({ verdict: 'unobserved', tokens: 0 });
    expect((await fixture.cwm.listMessages({ session: 'opened' })).total).toBe(2);
    expect((await fixture.cwm.send({ session: 'opened', text: 'go on' }, never())).text).toBe('fine');
  });

  test('S0-06 another model opens the text and leaves the KV alone; sending to it takes insisting', async () => {
    const fixture = await coreFixture();
    await savedWindow(fixture);
    fixture.engine.model = { ...fixture.engine.model, id: 'another' };
    fixture.engine.calls = [];
    expect(await thaw(fixture, 'looked')).toMatchObject({ verdict: 'mismatch', cachedTokens: null });
    expect(await codeOf(fixture.cwm.send({ session: 'looked', text: 'go on' }, never()))).toBe('CWM-5003');
    const receipt = await fixture.cwm.thaw({ window: 'w', insist: true, session: 'insisted' }, never());
    expect(receipt.verdict).toBe('mismatch');
    expect(fixture.engine.calls.filter((call) => call !== 'describe')).toEqual([]);
    for (const session of ['looked', 'insisted']) expect((await fixture.cwm.listMessages({ session })).total).toBe(2);
    expect(await fixture.cwm.getSession({ session: 'insisted' })).toMatchObject({ model: null, tokens: null });
    expect((await fixture.cwm.send({ session: 'insisted', text: 'go on' }, never())).text).toBe('fine');
  });

  test.each([
    'EngineUnavailable',
    'EngineTimeout',
    'EngineFailed',
    'EngineRejected',
    'EngineDenied',
    'NotAnEngine',
    'StreamCut',
    'ContextTooLong',
    'ReadFailed',
    'WriteFailed',
    'AccessDenied',
    'StorageFull',
  ] as const)(
    'whatever an engine or a disk of KV does, the text opens, the reason is told, and the KV stays: %s',
    async (fault) => {
      const fixture = await coreFixture();
      await savedWindow(fixture);
      fixture.engine.restart();
      const blocks = fixture.engine.diskBlocks;
      // First at once, then in the middle.
      for (const at of ['describe', 'measure'] as const) {
        const fail = (): never => {
          throw new CwmError(fault, 'It went wrong.');
        };
        if (at === 'describe') fixture.engine.fault = fault;
        else fixture.engine.onCall = async () => fail();
        const receipt = await thaw(fixture, at);
        expect(receipt).toMatchObject({ verdict: 'text-only', session: at, repair: 'none' });
        expect(receipt.notes.join(' ')).toContain(new CwmError(fault, '').code);
        expect((await fixture.cwm.listMessages({ session: at })).total).toBe(2);
        fixture.engine.fault = null;
        fixture.engine.onCall = async () => {};
      }
      expect(fixture.engine.diskBlocks).toBe(blocks);
      expect((await thaw(fixture)).verdict).toBe('proven');
    },
  );

  test('a model that vanishes in the middle is a mismatch', async () => {
    const fixture = await coreFixture();
    await savedWindow(fixture);
    fixture.engine.onCall = () => Promise.reject(new CwmError('ModelMismatch', 'It is not served.'));
    expect(await thaw(fixture)).toMatchObject({ verdict: 'mismatch' });
  });

  test('a window whose token ids are damaged opens with its text, and continues from it', async () => {
    const fixture = await coreFixture();
    await savedWindow(fixture);
    const folder = path.join(fixture.directory, 'windows/w');
    const ids = readdirSync(folder).find((name) => name.startsWith('tokens')) ?? '';
    writeFileSync(path.join(folder, ids), 'damaged');
    const receipt = await thaw(fixture, 'opened');
    expect(receipt).toMatchObject({ verdict: 'text-only', notes: [expect.stringContaining('token ids are damaged')] });
    expect((await fixture.cwm.listMessages({ session: 'opened' })).total).toBe(2);
    expect((await fixture.cwm.send({ session: 'opened', text: 'go on' }, never())).text).toBe('fine');
  });

  test('a window whose KV record is damaged opens all the same: all is computed again, and proven from then on', async () => {
    const fixture = await coreFixture();
    await savedWindow(fixture);
    writeFileSync(path.join(fixture.directory, 'windows/w/kv.json'), 'damaged');
    const { healthy, steps } = await fixture.cwm.verify({}, never());
    expect(healthy).toBe(false);
    expect(steps.at(-1)?.problems).toEqual([expect.stringContaining('(CWM-4004)')]);
    expect((await thaw(fixture)).verdict).toBe('rebuilt');
    fixture.engine.restart();
    expect((await thaw(fixture)).verdict).toBe('proven');
  });
});
