import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { CwmError } from '../../../src/protocol/errors.ts';
import { parseWindowName } from '../../../src/protocol/ids.ts';
import { codeOf, coreFixture, type CoreFixture, never, savedWindow, talkedSession } from '../coreFixture.ts';

const thaw = (fixture: CoreFixture, session?: string) =>
  fixture.cwm.thaw({ window: 'w', ...(session !== undefined && { session }) }, never());

describe('thaw', () => {
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

  test('S0-05 two thaws of a window in one moment open two sessions', async () => {
    const fixture = await coreFixture();
    await savedWindow(fixture);
    vi.spyOn(fixture.clock, 'now').mockReturnValue(new Date('2026-11-21T09:00:00Z'));
    const thaws = [0, 1].map(() => fixture.cwm.thaw({ window: 'w' }, never()));
    const sessions = (await Promise.all(thaws)).map(({ session }) => session);
    expect(new Set(sessions).size).toBe(2);
    for (const session of sessions) expect(session).toMatch(/^thaw-w-20261121T090000000Z-[0-9a-f]{4}$/);
  });

  test('the new session has the words and the exact ids of the window, and goes on warm', async () => {
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

  test('S0-08 EC-002 two thaws of one window give two sessions', async () => {
    const fixture = await coreFixture();
    await savedWindow(fixture);
    const [a, b] = await Promise.all([thaw(fixture), thaw(fixture)]);
    expect(a.session).not.toBe(b.session);
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

  test('EC-042 a wall clock that goes back an hour meanwhile changes no duration, and stamps are UTC', async () => {
    const fixture = await coreFixture();
    await savedWindow(fixture);
    fixture.engine.onCall = async () => fixture.clock.setBack(3_600_000);
    const receipt = await thaw(fixture);
    expect(receipt.verdict).toBe('proven');
    expect(receipt.ms).toBeGreaterThan(0);
    expect(receipt.ms).toBeLessThan(60_000);
    expect(receipt.at).toMatch(/Z$/);
  });

  test('D4 resume goes on in the frozen session itself, once', async () => {
    const fixture = await coreFixture();
    await savedWindow(fixture);
    await fixture.cwm.freeze({ session: 's', window: 'end' }, never());
    expect(await codeOf(fixture.cwm.thaw({ window: 'w', resume: true }, never()))).toBe('CWM-3001');
    const receipt = await fixture.cwm.thaw({ window: 'end', resume: true }, never());
    expect(receipt.session).toBe('s');
    expect(await fixture.cwm.getSession({ session: 's' })).toMatchObject({ lifecycle: 'thawed', frozenAs: null });
    expect(await codeOf(fixture.cwm.thaw({ window: 'end', resume: true }, never()))).toBe('CWM-3001');
  });

  test('without an engine the conversation opens all the same: text-only', async () => {
    const fixture = await coreFixture();
    await savedWindow(fixture);
    fixture.engine.fault = 'EngineUnavailable';
    const receipt = await thaw(fixture, 'offline');
    expect(receipt).toMatchObject({ verdict: 'text-only', cachedTokens: null, session: 'offline' });
    expect((await fixture.cwm.listMessages({ session: 'offline' })).total).toBe(2);
  });

  test('an engine without a lasting cache is rebuilt, and the next thaw is held against what was rebuilt', async () => {
    const fixture = await coreFixture();
    fixture.engine.recomputesInexactly = true;
    await savedWindow(fixture);
    fixture.engine.evict();
    expect(await thaw(fixture)).toMatchObject({ verdict: 'rebuilt', cachedTokens: 0, content: { canary: 'not-run' } });
    fixture.engine.restart();
    expect(await thaw(fixture)).toMatchObject({
      verdict: 'proven',
      content: { checksums: 'agreed', canary: 'agreed' },
    });
  });

  test('a lost block is partial, and the window is whole again afterwards', async () => {
    const fixture = await coreFixture();
    fixture.engine.recomputesInexactly = true;
    await savedWindow(fixture);
    fixture.engine.restart();
    fixture.engine.lose(3);
    expect(await thaw(fixture)).toMatchObject({ verdict: 'partial', cachedTokens: 12, content: { blocksMissing: 1 } });
    fixture.engine.restart();
    expect((await thaw(fixture)).verdict).toBe('proven');
  });

  test("blocks that another window's thaw computed again are no damage for a clone", async () => {
    const fixture = await coreFixture();
    fixture.engine.recomputesInexactly = true;
    await savedWindow(fixture);
    await fixture.cwm.clone({ window: 'w', target: 'c' }, never());
    fixture.engine.restart();
    fixture.engine.lose(3);
    await thaw(fixture);
    fixture.engine.restart();
    const receipt = await fixture.cwm.thaw({ window: 'c' }, never());
    expect(receipt).toMatchObject({
      verdict: 'proven',
      repair: 'none',
      content: { blocksDamaged: 0, checksums: 'agreed' },
    });
    fixture.engine.restart();
    expect((await thaw(fixture)).verdict).toBe('proven');
  });

  test('a damaged block file is found before any request, deleted, and recomputed', async () => {
    const fixture = await coreFixture();
    await savedWindow(fixture);
    fixture.engine.restart();
    fixture.engine.damage(2, { silently: false });
    const receipt = await thaw(fixture);
    expect(receipt).toMatchObject({
      verdict: 'partial',
      cachedTokens: 8,
      repair: 'blocks-deleted',
      content: { checksums: 'disagreed', blocksDamaged: 1 },
    });
    fixture.engine.restart();
    expect((await thaw(fixture)).verdict).toBe('proven');
  });

  test('a damaged file beside whole KV in memory is no proof: it is deleted and written anew', async () => {
    const fixture = await coreFixture();
    await savedWindow(fixture);
    fixture.engine.damage(2, { silently: false });
    const receipt = await thaw(fixture);
    expect(receipt).toMatchObject({
      verdict: 'partial',
      repair: 'blocks-deleted',
      content: { checksums: 'disagreed' },
    });
    expect(receipt.kvBytesWritten).toBeGreaterThan(0);
    fixture.engine.restart();
    expect((await thaw(fixture)).verdict).toBe('proven');
  });

  test('damage that no stat field shows is caught by the canary, and nothing is answered from it', async () => {
    const fixture = await coreFixture();
    await savedWindow(fixture);
    fixture.engine.restart();
    fixture.engine.damage(2, { silently: true });
    const receipt = await thaw(fixture);
    expect(receipt).toMatchObject({ verdict: 'damaged', repair: 'salt-advanced', content: { canary: 'disagreed' } });
    expect(receipt.cachedTokens).toBe(0);
    fixture.engine.restart();
    expect(await thaw(fixture)).toMatchObject({ verdict: 'proven', repair: 'none' });
  });

  test('other weights under the same name are caught by the canary', async () => {
    const fixture = await coreFixture();
    await savedWindow(fixture);
    fixture.engine.restart();
    fixture.engine.weights = 'other weights';
    expect(await thaw(fixture)).toMatchObject({ verdict: 'damaged', repair: 'salt-advanced' });
  });

  test('other weights are noticed where nothing of a window is left, too: blocks that came after it may be', async () => {
    const fixture = await coreFixture();
    await savedWindow(fixture);
    fixture.engine.evict();
    fixture.engine.weights = 'other weights';
    const receipt = await thaw(fixture);
    expect(receipt).toMatchObject({ verdict: 'rebuilt', repair: 'salt-advanced', content: { canary: 'not-run' } });
    expect(receipt.notes.join(' ')).toContain('other weights');
    fixture.engine.restart();
    expect(await thaw(fixture)).toMatchObject({ verdict: 'proven', repair: 'none' });
  });

  test('an engine that tells nothing of reuse and answers otherwise has its KV given up; nothing is claimed', async () => {
    const fixture = await coreFixture();
    fixture.engine.isSilent = true;
    fixture.engine.hasBlockFiles = false;
    await savedWindow(fixture);
    expect(await thaw(fixture)).toMatchObject({ verdict: 'unobserved', repair: 'none' });
    fixture.engine.weights = 'other weights';
    expect(await thaw(fixture)).toMatchObject({ verdict: 'unobserved', repair: 'salt-advanced' });
    expect(await thaw(fixture)).toMatchObject({ verdict: 'unobserved', repair: 'none' });
  });

  test('an engine that tells nothing of reuse and answers a little otherwise: the receipt says both', async () => {
    const fixture = await coreFixture();
    fixture.engine.isSilent = true;
    fixture.engine.filesAreElsewhere = true;
    await savedWindow(fixture);
    fixture.engine.restart();
    fixture.engine.damage(2, { silently: true });
    expect(await thaw(fixture)).toMatchObject({
      verdict: 'unobserved',
      content: { canary: 'disagreed', why: expect.stringContaining('does not tell whether it reused KV') },
    });
  });

  test('an engine that fails over the KV it has is made to forget it', async () => {
    const fixture = await coreFixture();
    await savedWindow(fixture);
    fixture.engine.restart();
    fixture.engine.damage(1, { silently: true });
    fixture.engine.failsOnDamage = true;
    expect(await thaw(fixture)).toMatchObject({ verdict: 'damaged', repair: 'salt-advanced' });
  });

  test('a failure that passes is no damage', async () => {
    const fixture = await coreFixture();
    await savedWindow(fixture);
    fixture.engine.restart();
    let failures = 1;
    fixture.engine.onCall = async () => {
      if (failures-- > 0) throw new CwmError('EngineFailed', 'Service Unavailable');
    };
    expect(await thaw(fixture)).toMatchObject({ verdict: 'proven', repair: 'none' });
  });

  test('an engine that fails over everything costs no KV', async () => {
    const fixture = await coreFixture();
    await savedWindow(fixture);
    const blocks = fixture.engine.diskBlocks;
    fixture.engine.onCall = () => Promise.reject(new CwmError('EngineFailed', 'out of order'));
    expect(await codeOf(thaw(fixture))).toBe('CWM-5004');
    fixture.engine.onCall = async () => {};
    expect(fixture.engine.diskBlocks).toBe(blocks);
    expect((await thaw(fixture)).verdict).toBe('proven');
  });

  test("a difference within the engine's own noise is no damage", async () => {
    const fixture = await coreFixture();
    fixture.engine.noise = 0.001;
    await savedWindow(fixture);
    fixture.engine.restart();
    expect(await thaw(fixture)).toMatchObject({ verdict: 'proven', content: { canary: 'agreed' } });
  });

  test('an engine that claims reuse and reuses nothing is not believed where its answers differ', async () => {
    const fixture = await coreFixture();
    fixture.engine.recomputesInexactly = true;
    await savedWindow(fixture);
    fixture.engine.evict();
    fixture.engine.claimsFullReuse = true;
    expect((await thaw(fixture)).verdict).not.toBe('proven');
  });

  test("reuse that only the server's counters show is not claimed, but said with what to change", async () => {
    const fixture = await coreFixture();
    fixture.engine.countsFrom = 'metrics';
    await savedWindow(fixture);
    fixture.engine.restart();
    const receipt = await thaw(fixture);
    expect(receipt.verdict).toBe('unobserved');
    expect(receipt.notes.join(' ')).toContain('--enable-prompt-tokens-details');
  });

  test('content that can no longer be held against its canary is not proven', async () => {
    const fixture = await coreFixture();
    fixture.engine.hasBlockFiles = false;
    await savedWindow(fixture);
    fixture.engine.hasLogprobs = false;
    expect((await thaw(fixture)).verdict).toBe('unobserved');
  });

  test('with neither block files nor log-probabilities reuse alone is proven, and the receipt says so', async () => {
    const fixture = await coreFixture();
    fixture.engine.filesAreElsewhere = true;
    fixture.engine.hasLogprobs = false;
    await savedWindow(fixture);
    const receipt = await thaw(fixture);
    expect(receipt).toMatchObject({ verdict: 'proven', content: { checksums: 'not-run', canary: 'not-run' } });
    expect(receipt.summary).toContain('content could not be checked');
  });

  test('a block that is reused without its file in sight is not proven by the files of the others', async () => {
    const fixture = await coreFixture();
    fixture.engine.hasLogprobs = false;
    await savedWindow(fixture);
    fixture.engine.lose(2);
    // The device still has it, and nothing speaks for what it has.
    const receipt = await thaw(fixture);
    expect(receipt).toMatchObject({ content: { checksums: 'agreed', canary: 'not-run', blocksMissing: 1 } });
    expect(receipt.cachedTokens).toBe(receipt.floorTokens);
    expect(receipt.verdict).toBe('unobserved');
  });

  test('a block size that changes between freeze and thaw proves nothing, however much is said to be reused', async () => {
    const fixture = await coreFixture();
    await savedWindow(fixture);
    const kv = await fixture.store.loadWindowKv(parseWindowName('w'));
    await fixture.store.replaceWindowKv(parseWindowName('w'), { ...kv, blockTokens: 16 });
    expect((await thaw(fixture)).verdict).toBe('unobserved');
  });

  test('a canary that is gross at its freeze is no measure', async () => {
    const fixture = await coreFixture();
    fixture.engine.noise = 0.4;
    await talkedSession(fixture);
    const receipt = await fixture.cwm.freeze({ session: 's', window: 'w' }, never());
    expect(receipt.content.canary).toBe('not-run');
    expect(receipt.notes.join(' ')).toContain('differently each time');
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

  describe('while others use the server, which moves the last bits of what it answers', () => {
    const frozenWhenIdle = async (): Promise<CoreFixture> => {
      const fixture = await coreFixture();
      fixture.engine.filesAreElsewhere = true;
      await savedWindow(fixture);
      fixture.engine.restart();
      return fixture;
    };

    test('one answer that is the same is proof', async () => {
      const fixture = await frozenWhenIdle();
      fixture.engine.busyMeasurements = 4;
      expect(await thaw(fixture)).toMatchObject({
        verdict: 'proven',
        content: { canary: 'agreed', canaryDifference: 0 },
      });
    });

    test('where none is, all is computed again, and nothing is called damaged', async () => {
      const fixture = await frozenWhenIdle();
      fixture.engine.busyMeasurements = 5;
      expect(await thaw(fixture)).toMatchObject({
        verdict: 'rebuilt',
        repair: 'salt-advanced',
        content: { canary: 'not-run', why: expect.stringContaining('Others used the server meanwhile') },
      });
      fixture.engine.restart();
      expect((await thaw(fixture)).verdict).toBe('proven');
    });

    test('how far answers are apart is seen by a freeze, and is no difference to a thaw later on', async () => {
      const fixture = await coreFixture();
      fixture.engine.filesAreElsewhere = true;
      await talkedSession(fixture);
      // Every second answer.
      let measurements = 0;
      fixture.engine.onCall = async (call) => {
        if (call === 'measure') fixture.engine.busyMeasurements = measurements++ % 2 === 0 ? 1 : 0;
      };
      const frozen = await fixture.cwm.freeze({ session: 's', window: 'w' }, never());
      expect(frozen.content.canaryNoise).toBeGreaterThan(0);
      fixture.engine.onCall = async () => undefined;
      fixture.engine.restart();
      expect(await thaw(fixture)).toMatchObject({ verdict: 'proven', content: { canary: 'agreed' } });
    });

    test('where the files are in sight they speak instead, and no KV is thrown away', async () => {
      const fixture = await coreFixture();
      await savedWindow(fixture);
      fixture.engine.restart();
      fixture.engine.busyMeasurements = 5;
      expect(await thaw(fixture)).toMatchObject({
        verdict: 'proven',
        repair: 'none',
        content: { checksums: 'agreed', canary: 'not-run', why: expect.stringContaining('Others used the server') },
      });
      fixture.engine.restart();
      fixture.engine.damage(2, { silently: true });
      fixture.engine.busyMeasurements = 5;
      expect(await thaw(fixture)).toMatchObject({ verdict: 'damaged', content: { checksums: 'disagreed' } });
    });

    test.each([false, true])('a freeze is no damage to an idle thaw (files out of sight: %s)', async (isElsewhere) => {
      const fixture = await coreFixture();
      fixture.engine.filesAreElsewhere = isElsewhere;
      fixture.engine.busyMeasurements = Infinity;
      await savedWindow(fixture);
      fixture.engine.busyMeasurements = 0;
      for (const verdict of [isElsewhere ? 'rebuilt' : 'proven', 'proven']) {
        fixture.engine.restart();
        expect(await thaw(fixture)).toMatchObject({ verdict });
      }
      // Nor is what a thaw has recorded.
      fixture.engine.evict();
      fixture.engine.busyMeasurements = Infinity;
      expect((await thaw(fixture)).verdict).toBe('rebuilt');
      fixture.engine.busyMeasurements = 0;
      for (const verdict of [isElsewhere ? 'rebuilt' : 'proven', 'proven']) {
        fixture.engine.restart();
        expect(await thaw(fixture)).toMatchObject({ verdict });
      }
      fixture.engine.restart();
      fixture.engine.damage(isElsewhere ? 16 : 2, { silently: true });
      expect((await thaw(fixture)).verdict).toBe('damaged');
    });

    test('a beginning over which none is the same makes the whole doubtful', async () => {
      const fixture = await frozenWhenIdle();
      let measurements = 0;
      fixture.engine.onCall = async (call) => {
        if (call === 'measure' && measurements++ === 1) fixture.engine.busyMeasurements = 5;
      };
      expect(await thaw(fixture)).toMatchObject({
        verdict: 'rebuilt',
        repair: 'salt-advanced',
        content: { canary: 'not-run', why: expect.stringContaining('Others used the server meanwhile') },
      });
    });

    test("where the canary has a request of its own, it is that one's moment that counts", async () => {
      const fixture = await coreFixture();
      fixture.engine.filesAreElsewhere = true;
      fixture.engine.blocksInPiece = 3;
      await savedWindow(fixture);
      fixture.engine.restart();
      let measurements = 0;
      fixture.engine.onCall = async (call) => {
        if (call === 'measure') fixture.engine.busyMeasurements = measurements++ % 2;
      };
      expect(await thaw(fixture)).toMatchObject({
        verdict: 'rebuilt',
        content: { why: expect.stringContaining('Others used the server meanwhile') },
      });
    });

    test('what an engine that heeds no salt goes on with is not said to be given up', async () => {
      const fixture = await coreFixture();
      fixture.engine.filesAreElsewhere = true;
      fixture.engine.heedsSalts = false;
      await savedWindow(fixture);
      fixture.engine.busyMeasurements = Infinity;
      const receipt = await thaw(fixture);
      expect(receipt).toMatchObject({ verdict: 'unobserved', repair: 'none' });
      expect(receipt.notes).toEqual([expect.stringContaining('could not be given up')]);
    });

    test('damage is given up all the same', async () => {
      const fixture = await frozenWhenIdle();
      fixture.engine.damage(2, { silently: true });
      fixture.engine.busyMeasurements = 3;
      expect(await thaw(fixture)).toMatchObject({ repair: 'salt-advanced', cachedTokens: 0 });
    });
  });

  describe('where only the canary can tell, and the engine keeps blocks in pieces', () => {
    const inPieces = async (): Promise<CoreFixture> => {
      const fixture = await coreFixture();
      fixture.engine.filesAreElsewhere = true;
      fixture.engine.recomputesInexactly = true;
      fixture.engine.blocksInPiece = 3;
      await savedWindow(fixture);
      const { manifest } = await fixture.cwm.getWindow({ window: 'w' });
      expect(Math.floor(manifest.tokens.count / 4) % 3).not.toBe(0);
      return fixture;
    };

    test('what is left over and computed again blurs nothing: the same answer counts, thaw after thaw', async () => {
      const fixture = await inPieces();
      for (const time of ['first', 'second']) {
        fixture.engine.restart();
        expect(await thaw(fixture), time).toMatchObject({
          verdict: 'partial',
          repair: 'none',
          content: { canary: 'agreed', canaryDifference: 0 },
        });
      }
    });

    test.each([0, 1])('damage that moves the answer slightly is found after %i thaws, and repaired', async (thaws) => {
      const fixture = await inPieces();
      for (let count = 0; count < thaws; count++) {
        fixture.engine.restart();
        await thaw(fixture);
      }
      fixture.engine.restart();
      fixture.engine.damage(0, { silently: true });
      expect(await thaw(fixture)).toMatchObject({ verdict: 'damaged', repair: 'salt-advanced' });
      fixture.engine.restart();
      expect(await thaw(fixture)).toMatchObject({ verdict: 'partial', content: { canary: 'agreed' } });
    });

    test('a piece that is lost makes the comparison coarse, for it was computed again', async () => {
      const fixture = await inPieces();
      fixture.engine.restart();
      fixture.engine.lose(1);
      expect(await thaw(fixture)).toMatchObject({ verdict: 'partial', content: { canary: 'not-run' }, repair: 'none' });
    });

    test('a context that is shorter than a piece is measured as a whole', async () => {
      const fixture = await inPieces();
      fixture.engine.blocksInPiece = 1_000;
      await fixture.cwm.freeze({ session: 's', window: 'short', checkpoint: true }, never());
      expect(await fixture.cwm.thaw({ window: 'short' }, never())).toMatchObject({ content: { canary: 'agreed' } });
      expect((await fixture.store.loadWindowKv(parseWindowName('short'))).canaryTokens).toBeUndefined();
    });
  });

  describe('where only the canary can tell, and some KV was computed again since it was taken', () => {
    const partlyComputedAgain = async (): Promise<CoreFixture> => {
      const fixture = await coreFixture();
      fixture.engine.filesAreElsewhere = true;
      fixture.engine.recomputesInexactly = true;
      await savedWindow(fixture);
      fixture.engine.restart();
      fixture.engine.lose(4);
      expect(await thaw(fixture)).toMatchObject({ verdict: 'partial', content: { canary: 'not-run' } });
      return fixture;
    };

    test('damage beside a lost block is found by the canary over a beginning that was reused, and repaired', async () => {
      const fixture = await coreFixture();
      fixture.engine.filesAreElsewhere = true;
      fixture.engine.recomputesInexactly = true;
      await savedWindow(fixture);
      fixture.engine.restart();
      fixture.engine.lose(3);
      fixture.engine.damage(0, { silently: true });
      expect(await thaw(fixture)).toMatchObject({
        verdict: 'damaged',
        repair: 'salt-advanced',
        content: { canary: 'disagreed' },
      });
      fixture.engine.restart();
      expect((await thaw(fixture)).verdict).toBe('proven');
    });

    test('a beginning that was reused whole is said to be the very same, and speaks for nothing behind it', async () => {
      const fixture = await partlyComputedAgain();
      fixture.engine.restart();
      expect(await thaw(fixture)).toMatchObject({
        verdict: 'unobserved',
        repair: 'none',
        content: { canary: 'not-run', why: expect.stringMatching(/Over the first \d+ tokens it is the very same/) },
      });
    });

    test('a beginning that a turn computed again is not taken for damage', async () => {
      const fixture = await coreFixture();
      fixture.engine.filesAreElsewhere = true;
      fixture.engine.recomputesInexactly = true;
      await savedWindow(fixture);
      fixture.engine.evict();
      await fixture.cwm.send({ session: 's', text: 'go on' }, never());
      await fixture.cwm.freeze({ session: 's', window: 'later', checkpoint: true }, never());
      fixture.engine.restart();
      fixture.engine.lose(3);
      expect(await thaw(fixture)).toMatchObject({
        verdict: 'rebuilt',
        repair: 'salt-advanced',
        content: { canary: 'not-run', why: expect.stringContaining('computed again since the freeze') },
      });
    });

    test('full reuse that answers otherwise is not proven, once or ever: damage may hide behind rounding', async () => {
      const fixture = await partlyComputedAgain();
      const { prefixCanaries } = await fixture.store.loadWindowKv(parseWindowName('w'));
      const behind = Math.floor((prefixCanaries.at(-1)?.tokens ?? 0) / 4);
      expect(behind).toBeLessThan(4);
      fixture.engine.restart();
      fixture.engine.damage(behind, { silently: true });
      for (const time of ['first', 'second']) {
        const receipt = await thaw(fixture);
        expect(receipt, time).toMatchObject({ verdict: 'unobserved', content: { canary: 'not-run' } });
        expect(receipt.cachedTokens).toBe(receipt.floorTokens);
        expect(receipt.summary).toContain('could not be told');
      }
    });

    test('the very answer of the freeze is proof all the same', async () => {
      const fixture = await coreFixture();
      fixture.engine.filesAreElsewhere = true;
      await savedWindow(fixture);
      fixture.engine.restart();
      fixture.engine.lose(3);
      expect(await thaw(fixture)).toMatchObject({ verdict: 'partial', content: { canary: 'agreed' } });
      fixture.engine.restart();
      expect(await thaw(fixture)).toMatchObject({ verdict: 'proven', content: { canary: 'agreed' } });
    });

    test('what a turn computed again after a restart is not taken for damage, and is the measure from then on', async () => {
      const fixture = await coreFixture();
      fixture.engine.filesAreElsewhere = true;
      fixture.engine.recomputesInexactly = true;
      await savedWindow(fixture);
      fixture.engine.evict();
      await fixture.cwm.send({ session: 's', text: 'go on' }, never());
      const receipt = await thaw(fixture);
      expect(receipt).toMatchObject({
        verdict: 'rebuilt',
        cachedTokens: 0,
        repair: 'salt-advanced',
        content: { canary: 'not-run', why: expect.stringContaining('computed again since the freeze') },
      });
      fixture.engine.restart();
      expect((await thaw(fixture)).verdict).toBe('proven');
    });

    test('damage is told from rounding by how much it is off', async () => {
      const fixture = await coreFixture();
      fixture.engine.filesAreElsewhere = true;
      fixture.engine.recomputesInexactly = true;
      await savedWindow(fixture);
      fixture.engine.restart();
      fixture.engine.damage(2, { silently: true });
      expect(await thaw(fixture)).toMatchObject({ verdict: 'damaged', content: { canary: 'disagreed' } });
    });

    test('what is rebuilt as a whole is the measure from then on', async () => {
      const fixture = await partlyComputedAgain();
      fixture.engine.evict();
      expect((await thaw(fixture)).verdict).toBe('rebuilt');
      fixture.engine.restart();
      expect((await thaw(fixture)).verdict).toBe('proven');
    });
  });

  test("a clone is held against its own canary, also after the original's repair moved the salt of both", async () => {
    const fixture = await coreFixture();
    await savedWindow(fixture);
    await fixture.cwm.clone({ window: 'w', target: 'c' }, never());
    fixture.engine.restart();
    fixture.engine.weights = 'other weights';
    expect(await thaw(fixture)).toMatchObject({ verdict: 'damaged', repair: 'salt-advanced' });
    const thawClone = () => fixture.cwm.thaw({ window: 'c' }, never());
    expect((await thawClone()).verdict).not.toBe('proven');
    // Each repair moved the salt of both on; from then on the record of the one vouches for the blocks of the other.
    expect([(await thaw(fixture)).verdict, (await thawClone()).verdict]).toEqual(['proven', 'proven']);
  });

  test('a server without token ids: the conversation is kept and opened from its text, and nothing is claimed', async () => {
    const fixture = await coreFixture();
    fixture.engine.givesIds = false;
    await savedWindow(fixture);
    const receipt = await thaw(fixture, 'opened');
    expect(receipt).toMatchObject({ verdict: 'unobserved', tokens: 0 });
    expect((await fixture.cwm.listMessages({ session: 'opened' })).total).toBe(2);
    expect((await fixture.cwm.send({ session: 'opened', text: 'go on' }, never())).text).toBe('fine');
  });

  test('S0-06 another model is refused with CWM-5003; insisting opens the text and leaves the KV alone', async () => {
    const fixture = await coreFixture();
    await savedWindow(fixture);
    fixture.engine.model = { ...fixture.engine.model, id: 'another' };
    fixture.engine.calls = [];
    expect(await codeOf(thaw(fixture))).toBe('CWM-5003');
    const receipt = await fixture.cwm.thaw({ window: 'w', insist: true, session: 'insisted' }, never());
    expect(receipt.verdict).toBe('mismatch');
    expect(fixture.engine.calls.filter((call) => call !== 'describe')).toEqual([]);
    expect((await fixture.cwm.listMessages({ session: 'insisted' })).total).toBe(2);
  });

  test('an abort leaves no session behind', async () => {
    const fixture = await coreFixture();
    await savedWindow(fixture);
    const controller = new AbortController();
    fixture.engine.onCall = async () => controller.abort();
    await expect(fixture.cwm.thaw({ window: 'w' }, controller.signal)).rejects.toThrow();
    expect((await fixture.cwm.listSessions({})).total).toBe(1);
  });

  test.each([false, true])(
    'a repair that is aborted is made up for by the next thaw (files out of sight: %s)',
    async (isElsewhere) => {
      const fixture = await coreFixture();
      const { cwm, engine } = fixture;
      engine.filesAreElsewhere = isElsewhere;
      engine.recomputesInexactly = true;
      await savedWindow(fixture);
      engine.restart();
      engine.damage(2, { silently: true });
      const controller = new AbortController();
      let hasPersisted = false;
      engine.onCall = async (call) => {
        if (hasPersisted) controller.abort();
        hasPersisted ||= call === 'persist';
      };
      await expect(cwm.thaw({ window: 'w' }, controller.signal)).rejects.toThrow();
      engine.onCall = async () => undefined;
      for (const verdict of ['rebuilt', 'proven', 'proven']) {
        engine.restart();
        expect((await thaw(fixture)).verdict).toBe(verdict);
      }
    },
  );

  test('unknown windows and taken ids are refused', async () => {
    const fixture = await coreFixture();
    await savedWindow(fixture);
    expect(await codeOf(fixture.cwm.thaw({ window: 'nothing' }, never()))).toBe('CWM-2002');
    expect(await codeOf(thaw(fixture, 's'))).toBe('CWM-3004');
  });

  test('receipts are kept, oldest first', async () => {
    const fixture = await coreFixture();
    await savedWindow(fixture);
    await thaw(fixture);
    const { receipts, summary } = await fixture.cwm.getWindow({ window: 'w' });
    expect(receipts.map((receipt) => receipt.operation)).toEqual(['checkpoint', 'thaw']);
    expect(summary.lastThaw?.verdict).toBe('proven');
  });
});
