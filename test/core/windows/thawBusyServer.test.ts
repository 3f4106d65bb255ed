import { describe, expect, test } from 'vitest';
import { parseWindowName } from '../../../src/protocol/ids.ts';
import { coreFixture, type CoreFixture, never, savedWindow, talkedSession } from '../coreFixture.ts';

const thaw = ({ cwm }: CoreFixture) => cwm.thaw({ window: 'w' }, never());

describe('while others use the server, which moves the last bits of what it answers', () => {
  const frozenWhenIdle = async (): Promise<CoreFixture> => {
    const fixture = await coreFixture();
    fixture.engine.filesAreElsewhere = true;
    await savedWindow(fixture);
    fixture.engine.restart();
    return fixture;
  };

  test('one answer that is the same speaks for the content', async () => {
    const fixture = await frozenWhenIdle();
    fixture.engine.busyMeasurements = 4;
    expect(await thaw(fixture)).toMatchObject({
      verdict: 'reused',
      content: { canary: 'agreed', canaryDifference: 0 },
    });
  });

  test('what only the adapter itself sent beside the request moves no canary: it is asked once more, alone', async () => {
    const fixture = await frozenWhenIdle();
    fixture.engine.accompaniedMeasurements = 1;
    expect(await thaw(fixture)).toMatchObject({
      verdict: 'reused',
      content: { canary: 'agreed', canaryDifference: 0, canaryNoise: 0 },
    });
    const kv = await fixture.store.windows.loadKv(parseWindowName('w'));
    await fixture.store.windows.replaceKv(parseWindowName('w'), { ...kv, canaryIsExact: false });
    fixture.engine.accompaniedMeasurements = 1;
    expect((await thaw(fixture)).content.canary).toBe('agreed');
    await fixture.store.windows.replaceKv(parseWindowName('w'), kv);
    fixture.engine.accompaniedMeasurements = 1;
    fixture.engine.restart();
    fixture.engine.damage(2, { silently: true });
    expect((await thaw(fixture)).verdict).toBe('damaged');
  });

  test.each([1, 2])(
    'damage that is evicted behind request %i is not cleared by what is computed then',
    async (request) => {
      const fixture = await frozenWhenIdle();
      const { engine } = fixture;
      engine.damage(2, { silently: true });
      engine.accompaniedMeasurements = request;
      let measured = 0;
      engine.onCall = async (call) => {
        if (call === 'measure' && measured++ === request) engine.evict();
      };
      const receipt = await thaw(fixture);
      expect(['damaged', 'rebuilt']).toContain(receipt.verdict);
      expect(receipt.content.canary).not.toBe('agreed');
    },
  );

  test('where none is, all is computed again, and nothing is called damaged', async () => {
    const fixture = await frozenWhenIdle();
    fixture.engine.busyMeasurements = 5;
    expect(await thaw(fixture)).toMatchObject({
      verdict: 'rebuilt',
      repair: 'salt-advanced',
      content: { canary: 'not-run', why: expect.stringContaining('Other clients used the server at the same time') },
    });
    fixture.engine.restart();
    expect((await thaw(fixture)).verdict).toBe('reused');
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
    expect(await thaw(fixture)).toMatchObject({ verdict: 'reused', content: { canary: 'agreed' } });
  });

  test('where the files are in sight they speak instead, and no KV is thrown away', async () => {
    const fixture = await coreFixture();
    await savedWindow(fixture);
    fixture.engine.restart();
    fixture.engine.busyMeasurements = 5;
    expect(await thaw(fixture)).toMatchObject({
      verdict: 'proven',
      repair: 'none',
      content: {
        checksums: 'agreed',
        canary: 'not-run',
        why: expect.stringContaining('Other clients used the server'),
      },
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
    for (const verdict of isElsewhere ? ['rebuilt', 'reused'] : ['proven', 'proven']) {
      fixture.engine.restart();
      expect(await thaw(fixture)).toMatchObject({ verdict });
    }
    // Nor is what a thaw has recorded.
    fixture.engine.evict();
    fixture.engine.busyMeasurements = Infinity;
    expect((await thaw(fixture)).verdict).toBe('rebuilt');
    fixture.engine.busyMeasurements = 0;
    for (const verdict of isElsewhere ? ['rebuilt', 'reused'] : ['proven', 'proven']) {
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
      content: { canary: 'not-run', why: expect.stringContaining('Other clients used the server at the same time') },
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
      content: { why: expect.stringContaining('Other clients used the server at the same time') },
    });
  });

  test('the receipt does not claim that KV was given up when the engine ignores the salt', async () => {
    const fixture = await coreFixture();
    fixture.engine.filesAreElsewhere = true;
    fixture.engine.heedsSalts = false;
    await savedWindow(fixture);
    fixture.engine.busyMeasurements = Infinity;
    const receipt = await thaw(fixture);
    expect(receipt).toMatchObject({ verdict: 'reused', repair: 'none' });
    expect(receipt.notes[0]).toContain('could not be given up');
  });

  test('damage is given up all the same', async () => {
    const fixture = await frozenWhenIdle();
    fixture.engine.damage(2, { silently: true });
    fixture.engine.busyMeasurements = 3;
    expect(await thaw(fixture)).toMatchObject({ repair: 'salt-advanced', cachedTokens: 0 });
  });
});
