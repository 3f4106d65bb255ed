import { describe, expect, test } from 'vitest';
import { parseWindowName } from '../../../src/protocol/ids.ts';
import { coreFixture, type CoreFixture, never, savedWindow } from '../coreFixture.ts';

const thaw = ({ cwm }: CoreFixture) => cwm.thaw({ window: 'w' }, never());

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
    expect((await fixture.store.windows.loadKv(parseWindowName('short'))).canaryTokens).toBeUndefined();
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
    expect((await thaw(fixture)).verdict).toBe('reused');
  });

  test('a beginning that was reused whole is said to be the very same, and speaks for nothing behind it', async () => {
    const fixture = await partlyComputedAgain();
    fixture.engine.restart();
    expect(await thaw(fixture)).toMatchObject({
      verdict: 'reused',
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
    const { prefixCanaries } = await fixture.store.windows.loadKv(parseWindowName('w'));
    const behind = Math.floor((prefixCanaries.at(-1)?.tokens ?? 0) / 4);
    expect(behind).toBeLessThan(4);
    fixture.engine.restart();
    fixture.engine.damage(behind, { silently: true });
    for (const time of ['first', 'second']) {
      const receipt = await thaw(fixture);
      expect(receipt, time).toMatchObject({ verdict: 'reused', content: { canary: 'not-run' } });
      expect(receipt.cachedTokens).toBe(receipt.floorTokens);
      expect(receipt.summary).toContain('could not be checked');
    }
  });

  test('the very answer of the freeze speaks for the content all the same', async () => {
    const fixture = await coreFixture();
    fixture.engine.filesAreElsewhere = true;
    await savedWindow(fixture);
    fixture.engine.restart();
    fixture.engine.lose(3);
    expect(await thaw(fixture)).toMatchObject({ verdict: 'partial', content: { canary: 'agreed' } });
    fixture.engine.restart();
    expect(await thaw(fixture)).toMatchObject({ verdict: 'reused', content: { canary: 'agreed' } });
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
    expect((await thaw(fixture)).verdict).toBe('reused');
  });

  test('the size of the difference separates damage from rounding', async () => {
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
    expect((await thaw(fixture)).verdict).toBe('reused');
  });
});
