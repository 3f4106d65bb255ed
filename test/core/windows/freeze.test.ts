import { describe, expect, test } from 'vitest';
import { CwmError, errorNameOf } from '../../../src/protocol/errors.ts';
import { parseWindowName } from '../../../src/protocol/ids.ts';
import { codeOf, coreFixture, never, savedWindow, talkedSession } from '../coreFixture.ts';

describe('freeze', () => {
  test('S0-03 makes a window, freezes the session and says what was stored', async () => {
    const { cwm, engine, ...rest } = await coreFixture();
    await talkedSession({ cwm, engine, ...rest });
    const receipt = await cwm.freeze({ session: 's', window: 'w', description: 'first', tags: ['x'] }, never());
    expect(receipt).toMatchObject({
      operation: 'freeze',
      session: 's',
      window: 'w',
      verdict: 'proven',
      tier: 'disk',
      content: { checksums: 'agreed', canary: 'agreed', canaryNoise: 0 },
    });
    expect(receipt.cachedTokens).toBe(receipt.floorTokens);
    expect(await cwm.getSession({ session: 's' })).toMatchObject({ lifecycle: 'frozen', frozenAs: 'w' });
    const { manifest, summary } = await cwm.getWindow({ window: 'w' });
    expect(manifest).toMatchObject({ description: 'first', tags: ['x'], tokens: { count: receipt.tokens } });
    expect(summary.tokens).toBe(receipt.tokens);
  });

  test('the answer is sealed too: every full block is stored, also those of generated tokens', async () => {
    const fixture = await coreFixture();
    await talkedSession(fixture);
    const receipt = await fixture.cwm.freeze({ session: 's', window: 'w' }, never());
    expect(fixture.engine.diskBlocks).toBe(Math.floor(receipt.tokens / 4));
    expect(receipt.kvBytes).toBe(receipt.kvBytesWritten);
  });

  test('a folder in sight without one file of the window speaks for nothing: beginnings are asked over instead', async () => {
    const fixture = await coreFixture();
    fixture.engine.blocksInPiece = 1_000;
    await savedWindow(fixture);
    const { blocks, prefixCanaries } = await fixture.store.windows.loadKv(parseWindowName('w'));
    expect(blocks).toEqual([]);
    expect(prefixCanaries).toHaveLength(3);
  });

  test('freezing again after one more turn writes only the new blocks', async () => {
    const fixture = await coreFixture();
    await savedWindow(fixture);
    const before = fixture.engine.diskBlocks;
    const first = (await fixture.cwm.getWindow({ window: 'w' })).receipts[0];
    await fixture.cwm.send({ session: 's', text: 'And what else?' }, never());
    const second = await fixture.cwm.freeze({ session: 's', window: 'w2' }, never());
    const perBlock = (first?.kvBytes ?? 0) / before;
    expect(second.kvBytesWritten).toBe((fixture.engine.diskBlocks - before) * perBlock);
    expect(second.kvBytesWritten).toBeLessThan(second.kvBytes ?? 0);
  });

  test('a checkpoint leaves the session running', async () => {
    const fixture = await coreFixture();
    await savedWindow(fixture);
    expect(await fixture.cwm.getSession({ session: 's' })).toMatchObject({ lifecycle: 'active', frozenAs: null });
    expect((await fixture.cwm.send({ session: 's', text: 'go on' }, never())).text).toBe('fine');
  });

  test('S0-04 a frozen session is refused with CWM-3002, a taken name with CWM-3003, an unknown session with CWM-2001', async () => {
    const fixture = await coreFixture();
    await savedWindow(fixture);
    await talkedSession(fixture, 'other');
    expect(await codeOf(fixture.cwm.freeze({ session: 'other', window: 'w' }, never()))).toBe('CWM-3003');
    expect(await codeOf(fixture.cwm.freeze({ session: 'nobody', window: 'v' }, never()))).toBe('CWM-2001');
    await fixture.cwm.freeze({ session: 's', window: 'end' }, never());
    expect(await codeOf(fixture.cwm.freeze({ session: 's', window: 'again' }, never()))).toBe('CWM-3002');
  });

  test('EC-010 an empty session has nothing to freeze', async () => {
    const fixture = await coreFixture();
    await fixture.cwm.createSession({ id: 'empty' });
    expect(await codeOf(fixture.cwm.freeze({ session: 'empty', window: 'w' }, never()))).toBe('CWM-1003');
  });

  test('EC-014 a block whose file is empty is not recorded, and the freeze says that it is missing', async () => {
    const fixture = await coreFixture();
    await talkedSession(fixture);
    fixture.engine.onCall = async (call) => {
      if (call === 'measure') fixture.engine.empty(2);
    };
    const receipt = await fixture.cwm.freeze({ session: 's', window: 'w' }, never());
    expect(receipt.content.blocksMissing).toBe(1);
    const { blocks } = await fixture.store.windows.loadKv(parseWindowName('w'));
    expect(blocks.length).toBeGreaterThan(0);
    expect(blocks.every(({ sizeBytes }) => sizeBytes > 0)).toBe(true);
  });

  test('S0-24 bad names are refused before anybody is asked', async () => {
    const fixture = await coreFixture();
    await talkedSession(fixture);
    fixture.engine.calls = [];
    expect(await codeOf(fixture.cwm.freeze({ session: 's', window: 'no spaces' }, never()))).toBe('CWM-1002');
    expect(await codeOf(fixture.cwm.freeze({ session: 'no/slash', window: 'w' }, never()))).toBe('CWM-1001');
    expect(fixture.engine.calls).toEqual([]);
  });

  test('EC-001 of two freezes at once exactly one wins', async () => {
    const fixture = await coreFixture();
    await talkedSession(fixture);
    const codes = await Promise.all([
      codeOf(fixture.cwm.freeze({ session: 's', window: 'a' }, never())),
      codeOf(fixture.cwm.freeze({ session: 's', window: 'b' }, never())),
    ]);
    expect(codes.sort()).toEqual(['CWM-3002', 'no error']);
    expect((await fixture.cwm.listWindows({})).total).toBe(1);
  });

  test('EC-003 in the middle of a turn it is refused with CWM-3001', async () => {
    const fixture = await coreFixture();
    await talkedSession(fixture);
    let freezing = '';
    fixture.engine.onCall = async () => {
      freezing ||= await codeOf(fixture.cwm.freeze({ session: 's', window: 'w' }, never()));
    };
    await fixture.cwm.send({ session: 's', text: 'more' }, never());
    expect(freezing).toBe('CWM-3001');
  });

  test.each(['CWM-5001', 'CWM-5004', 'CWM-6001'] as const)(
    'EC-040 an engine that fails with %s meanwhile leaves everything as it was, and a retry works',
    async (fault) => {
      const fixture = await coreFixture();
      await talkedSession(fixture);
      const before = await fixture.cwm.getSession({ session: 's' });
      fixture.engine.onCall = async (call) => {
        if (call === 'measure') fixture.engine.fault = errorNameOf(fault);
      };
      expect(await codeOf(fixture.cwm.freeze({ session: 's', window: 'w' }, never()))).toBe(fault);
      expect(await fixture.cwm.getSession({ session: 's' })).toEqual(before);
      expect((await fixture.cwm.listWindows({})).total).toBe(0);
      fixture.engine.fault = null;
      fixture.engine.onCall = async () => {};
      expect((await fixture.cwm.freeze({ session: 's', window: 'w' }, never())).verdict).toBe('proven');
    },
  );

  test('EC-040 when the session cannot be written, its window is undone too', async () => {
    const fixture = await coreFixture();
    await talkedSession(fixture);
    const update = fixture.store.sessions.update.bind(fixture.store);
    fixture.store.sessions.update = () => Promise.reject(new CwmError('StorageFull', 'The disk is full.'));
    expect(await codeOf(fixture.cwm.freeze({ session: 's', window: 'w' }, never()))).toBe('CWM-4003');
    fixture.store.sessions.update = update;
    expect((await fixture.cwm.listWindows({})).total).toBe(0);
    expect((await fixture.cwm.freeze({ session: 's', window: 'w' }, never())).verdict).toBe('proven');
  });

  test('an abort leaves everything as it was', async () => {
    const fixture = await coreFixture();
    await talkedSession(fixture);
    const before = await fixture.cwm.getSession({ session: 's' });
    const controller = new AbortController();
    fixture.engine.onCall = async () => controller.abort();
    await expect(fixture.cwm.freeze({ session: 's', window: 'w' }, controller.signal)).rejects.toThrow();
    expect(await fixture.cwm.getSession({ session: 's' })).toEqual(before);
    expect((await fixture.cwm.listWindows({})).total).toBe(0);
  });

  test('another model behind the same URL is refused with CWM-5003', async () => {
    const fixture = await coreFixture();
    await talkedSession(fixture);
    fixture.engine.model = { ...fixture.engine.model, id: 'another' };
    expect(await codeOf(fixture.cwm.freeze({ session: 's', window: 'w' }, never()))).toBe('CWM-5003');
  });

  test('an engine that tells nothing gives an unobserved window, not a proven one', async () => {
    const fixture = await coreFixture();
    fixture.engine.isSilent = true;
    fixture.engine.hasBlockFiles = false;
    fixture.engine.hasLogprobs = false;
    await talkedSession(fixture);
    const receipt = await fixture.cwm.freeze({ session: 's', window: 'w' }, never());
    expect(receipt).toMatchObject({
      verdict: 'unobserved',
      cachedTokens: null,
      kvBytes: null,
      kvBytesWritten: null,
      content: { checksums: 'not-run', canary: 'not-run' },
    });
  });
});
