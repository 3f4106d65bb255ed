import { describe, expect, test } from 'vitest';
import { coreFixture, never, savedWindow, type CoreFixture } from '../coreFixture.ts';

const thaw = ({ cwm }: CoreFixture, window = 'w') => cwm.thaw({ window }, never());

describe('damage that something else hides', () => {
  test.for([1, 0.1])('an engine that has become noisier than the damage proves nothing, noise %d', async (noise) => {
    const fixture = await coreFixture();
    fixture.engine.filesAreElsewhere = true;
    await savedWindow(fixture);
    fixture.engine.restart();
    fixture.engine.damage(2, { silently: true });
    fixture.engine.noise = noise;
    const receipt = await thaw(fixture);
    expect(receipt).toMatchObject({ verdict: 'reused', content: { canary: 'not-run' } });
  });

  test('a later freeze does not make damage of an earlier one its own', async () => {
    const fixture = await coreFixture();
    const { cwm, engine } = fixture;
    await savedWindow(fixture);
    engine.damage(2, { silently: false });
    await cwm.freeze({ session: 's', window: 'later', checkpoint: true }, never());
    engine.restart();
    expect(await thaw(fixture)).toMatchObject({
      verdict: 'proven',
      content: { canary: 'agreed', canaryDifference: 0 },
    });
  });

  test('the same without log-probabilities: what it deletes is made anew, and is proven', async () => {
    const fixture = await coreFixture();
    const { cwm, engine } = fixture;
    engine.hasLogprobs = false;
    await savedWindow(fixture);
    engine.damage(2, { silently: false });
    const { notes } = await cwm.freeze({ session: 's', window: 'later', checkpoint: true }, never());
    expect(notes.join(' ')).toContain('were deleted: 1.');
    engine.restart();
    for (const window of ['w', 'later']) {
      expect(await thaw(fixture, window)).toMatchObject({ verdict: 'proven', content: { checksums: 'agreed' } });
    }
  });
});

describe('damage that no stat field shows, where the canary cannot tell', () => {
  test.each([false, true])('beside a lost block it is found by reading the files (inexact: %s)', async (isInexact) => {
    const fixture = await coreFixture();
    const { engine } = fixture;
    engine.recomputesInexactly = isInexact;
    await savedWindow(fixture);
    engine.restart();
    engine.damage(1, { silently: true });
    engine.lose(4);
    expect(await thaw(fixture)).toMatchObject({
      verdict: 'damaged',
      repair: 'salt-advanced',
      content: { checksums: 'disagreed', blocksDamaged: 1, blocksMissing: 1 },
    });
    engine.restart();
    expect(await thaw(fixture)).toMatchObject({ verdict: 'proven', content: { canary: 'agreed' } });
  });
});

describe('KV that cannot be given up', () => {
  test('damage behind an engine that heeds no salt is never the measure, thaw after thaw', async () => {
    const fixture = await coreFixture();
    fixture.engine.filesAreElsewhere = true;
    fixture.engine.heedsSalts = false;
    await savedWindow(fixture);
    fixture.engine.restart();
    fixture.engine.damage(2, { silently: true });
    const receipt = await thaw(fixture);
    expect(receipt).toMatchObject({ verdict: 'damaged', repair: 'none' });
    expect(receipt.notes.join(' ')).toContain('could not be given up');
    expect(receipt.summary).toContain('may rest on it');
    fixture.engine.restart();
    expect((await thaw(fixture)).verdict).not.toBe('proven');
    fixture.engine.evict();
    expect((await thaw(fixture)).verdict).toBe('rebuilt');
    fixture.engine.restart();
    expect((await thaw(fixture)).verdict).toBe('reused');
  });
});

describe('what is no damage', () => {
  test("a clone's KV that its original's repair computed again", async () => {
    const fixture = await coreFixture();
    const { cwm, engine } = fixture;
    engine.recomputesInexactly = true;
    await savedWindow(fixture);
    await cwm.clone({ window: 'w', target: 'c' }, never());
    engine.restart();
    engine.damage(2, { silently: true });
    expect((await thaw(fixture)).verdict).toBe('damaged');
    engine.restart();
    expect(await thaw(fixture, 'c')).toMatchObject({ verdict: 'proven', content: { checksums: 'agreed' } });
  });

  test('KV whose file is gone, and that a turn has computed again', async () => {
    const fixture = await coreFixture();
    const { cwm, engine } = fixture;
    engine.recomputesInexactly = true;
    await savedWindow(fixture);
    engine.restart();
    engine.lose(2);
    await cwm.send({ session: 's', text: 'go on' }, never());
    expect(await thaw(fixture)).toMatchObject({ verdict: 'rebuilt', content: { blocksDamaged: 0, canary: 'not-run' } });
    engine.restart();
    expect((await thaw(fixture)).verdict).toBe('proven');
  });

  test('KV from before an update of the engine, which adds up in another order', async () => {
    const fixture = await coreFixture();
    await savedWindow(fixture);
    fixture.engine.version = '0.33.0';
    fixture.engine.restart();
    expect(await thaw(fixture)).toMatchObject({
      verdict: 'rebuilt',
      content: { checksums: 'agreed', canary: 'not-run' },
    });
    fixture.engine.restart();
    expect((await thaw(fixture)).verdict).toBe('proven');
  });
});
