import { describe, expect, test } from 'vitest';
import { CwmError } from '../../../src/protocol/errors.ts';
import { coreFixture, type CoreFixture, never, savedWindow } from '../coreFixture.ts';

const thaw = ({ cwm }: CoreFixture) => cwm.thaw({ window: 'w' }, never());

describe('KV that is lost is computed again', () => {
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
});

describe('KV that is damaged is deleted or given up', () => {
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

  test('a damaged file beside good KV in memory is no proof: it is deleted and written again', async () => {
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

  test('a damaged file that the engine has in memory is given up, and never becomes the measure', async () => {
    const fixture = await coreFixture();
    const { cwm, engine } = fixture;
    engine.hasLogprobs = false;
    await savedWindow(fixture);
    engine.restart();
    engine.damage(2, { silently: false });
    await cwm.send({ session: 's', text: 'And then?' }, never());
    expect(engine.hasReusedWrongBytes).toBe(true);
    expect(await thaw(fixture)).toMatchObject({ verdict: 'damaged', repair: 'salt-advanced', cachedTokens: 0 });
    engine.restart();
    engine.hasReusedWrongBytes = false;
    expect((await thaw(fixture)).verdict).toBe('proven');
    expect(engine.hasReusedWrongBytes).toBe(false);
  });

  test('nor does a freeze vouch for it: it gives the KV up and has the context computed again', async () => {
    const fixture = await coreFixture();
    const { cwm, engine } = fixture;
    await savedWindow(fixture);
    engine.restart();
    engine.damage(2, { silently: false });
    await cwm.send({ session: 's', text: 'And then?' }, never());
    const receipt = await cwm.freeze({ session: 's', window: 'later', checkpoint: true }, never());
    expect(receipt).toMatchObject({ verdict: 'proven', repair: 'salt-advanced' });
    expect(receipt.notes.join(' ')).toContain('still had it in memory');
    for (const window of ['later', 'w']) {
      engine.restart();
      engine.hasReusedWrongBytes = false;
      await cwm.thaw({ window }, never());
      expect(engine.hasReusedWrongBytes, window).toBe(false);
    }
  });

  test('where the engine has good KV in memory beside a damaged file, a freeze has it written again and computes nothing', async () => {
    const fixture = await coreFixture();
    const { cwm, engine } = fixture;
    engine.recomputesInexactly = true;
    await savedWindow(fixture);
    engine.damage(2, { silently: false });
    const receipt = await cwm.freeze({ session: 's', window: 'later', checkpoint: true }, never());
    expect(receipt).toMatchObject({ verdict: 'proven', repair: 'none' });
    expect(receipt.notes.join(' ')).toContain('were deleted: 1.');
  });

  test('a file of a block that was not stored yet when the window was frozen is no proof', async () => {
    const fixture = await coreFixture();
    const { cwm, engine } = fixture;
    engine.blocksInPiece = 4;
    await savedWindow(fixture);
    engine.blocksInPiece = 1;
    await cwm.send({ session: 's', text: 'And then?' }, never());
    await cwm.freeze({ session: 's', window: 'later', checkpoint: true }, never());
    engine.restart();
    const receipt = await thaw(fixture);
    expect(receipt.cachedTokens).toBe(receipt.floorTokens);
    expect(receipt.verdict).toBe('reused');
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

  test('an engine that fails over the KV it has is made to forget it', async () => {
    const fixture = await coreFixture();
    await savedWindow(fixture);
    fixture.engine.restart();
    fixture.engine.damage(1, { silently: true });
    fixture.engine.failsOnDamage = true;
    expect(await thaw(fixture)).toMatchObject({ verdict: 'damaged', repair: 'salt-advanced' });
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
      const word = isElsewhere ? 'reused' : 'proven';
      for (const verdict of ['rebuilt', word, word]) {
        engine.restart();
        expect((await thaw(fixture)).verdict).toBe(verdict);
      }
    },
  );
});

describe('an engine that heeds no salts keeps what should be given up', () => {
  const unrepairable = async (): Promise<CoreFixture> => {
    const fixture = await coreFixture();
    fixture.engine.heedsSalts = false;
    fixture.engine.filesAreElsewhere = true;
    fixture.engine.recomputesInexactly = true;
    await savedWindow(fixture);
    fixture.engine.restart();
    fixture.engine.damage(2, { silently: true });
    expect(await thaw(fixture)).toMatchObject({ verdict: 'damaged', repair: 'none' });
    return fixture;
  };

  test('known damage stays damage in each later thaw, of a clone too, until its cache is empty', async () => {
    const fixture = await unrepairable();
    await fixture.cwm.clone({ window: 'w', target: 'c' }, never());
    for (const window of ['w', 'w', 'c']) {
      const receipt = await fixture.cwm.thaw({ window }, never());
      expect(receipt, window).toMatchObject({ verdict: 'damaged', repair: 'none' });
      expect(receipt.notes.join(' ')).toContain('restart it with an empty cache');
    }
    fixture.engine.evict();
    expect((await thaw(fixture)).verdict).toBe('rebuilt');
    fixture.engine.restart();
    expect((await thaw(fixture)).verdict).toBe('reused');
  });
});

describe('other weights under the same name', () => {
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
});

describe('what costs no KV', () => {
  test('a failure that passes is no damage', async () => {
    const fixture = await coreFixture();
    await savedWindow(fixture);
    fixture.engine.restart();
    let failures = 1;
    fixture.engine.onCall = async (call) => {
      if (call !== 'locate' && failures-- > 0) throw new CwmError('EngineFailed', 'Service Unavailable');
    };
    expect(await thaw(fixture)).toMatchObject({ verdict: 'proven', repair: 'none' });
  });

  test('an engine that fails over everything costs no KV', async () => {
    const fixture = await coreFixture();
    await savedWindow(fixture);
    const blocks = fixture.engine.diskBlocks;
    fixture.engine.onCall = () => Promise.reject(new CwmError('EngineFailed', 'out of order'));
    expect(await thaw(fixture)).toMatchObject({ verdict: 'text-only', repair: 'none' });
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
});
