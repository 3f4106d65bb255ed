import { describe, expect, test } from 'vitest';
import { parseWindowName } from '../../../src/protocol/ids.ts';
import { coreFixture, type CoreFixture, never, savedWindow, talkedSession } from '../coreFixture.ts';

const thaw = ({ cwm }: CoreFixture) => cwm.thaw({ window: 'w' }, never());

describe('what the engine says of reuse is not enough', () => {
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

  test('a block size that changes between freeze and thaw proves nothing, however much is said to be reused', async () => {
    const fixture = await coreFixture();
    await savedWindow(fixture);
    const kv = await fixture.store.windows.loadKv(parseWindowName('w'));
    await fixture.store.windows.replaceKv(parseWindowName('w'), { ...kv, blockTokens: 16 });
    expect((await thaw(fixture)).verdict).toBe('unobserved');
  });
});

test('F4 a context whose ids the server did not return whole is never proven, however well its files are', async () => {
  const fixture = await coreFixture();
  fixture.engine.idsSource = 'tokenize';
  await savedWindow(fixture);
  fixture.engine.restart();
  const receipt = await thaw(fixture);
  expect(receipt).toMatchObject({ verdict: 'reused', content: { checksums: 'agreed' } });
  expect(receipt.summary).toContain('worked out from the text');
});

describe('a claim of reuse that takes as long as computing', () => {
  const afterLongTurn = async (): Promise<CoreFixture> => {
    const fixture = await coreFixture();
    fixture.engine.computeMsPerToken = 5;
    await fixture.cwm.createSession({ id: 's' });
    await fixture.cwm.send({ session: 's', text: 'Explain this. '.repeat(40) }, never());
    await fixture.cwm.freeze({ session: 's', window: 'w', checkpoint: true }, never());
    return fixture;
  };

  test('is not believed, though its counts and its content look right', async () => {
    const fixture = await afterLongTurn();
    fixture.engine.onCall = async () => fixture.engine.evict();
    fixture.engine.claimsFullReuse = true;
    fixture.engine.hasBlockFiles = false;
    const receipt = await thaw(fixture);
    expect(receipt).toMatchObject({ verdict: 'unobserved', cachedTokens: null, content: { canary: 'agreed' } });
    expect(receipt.notes.join(' ')).toContain('took as long as computing');
  });

  test('is believed where the KV came from a slow disk: asked again, it is in memory', async () => {
    const fixture = await afterLongTurn();
    fixture.engine.restart();
    fixture.engine.loadMsPerToken = 5;
    expect(await thaw(fixture)).toMatchObject({ verdict: 'proven', tier: 'disk' });
  });

  test('is believed where computing takes too little time to measure', async () => {
    const fixture = await coreFixture();
    fixture.engine.computeMsPerToken = 5;
    await savedWindow(fixture);
    fixture.engine.restart();
    fixture.engine.loadMsPerToken = 5;
    expect(await thaw(fixture)).toMatchObject({ verdict: 'proven' });
  });
});

describe('content that nothing speaks for', () => {
  test('content that can no longer be held against its canary is not proven', async () => {
    const fixture = await coreFixture();
    fixture.engine.hasBlockFiles = false;
    await savedWindow(fixture);
    fixture.engine.hasLogprobs = false;
    expect((await thaw(fixture)).verdict).toBe('reused');
  });

  test('with neither block files nor log-probabilities all that can be said is that it was reused', async () => {
    const fixture = await coreFixture();
    fixture.engine.filesAreElsewhere = true;
    fixture.engine.hasLogprobs = false;
    await savedWindow(fixture);
    const receipt = await thaw(fixture);
    expect(receipt).toMatchObject({ verdict: 'reused', content: { checksums: 'not-run', canary: 'not-run' } });
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
    expect(receipt.verdict).toBe('reused');
  });

  test('a canary that is gross at its freeze is no measure', async () => {
    const fixture = await coreFixture();
    fixture.engine.noise = 0.4;
    await talkedSession(fixture);
    const receipt = await fixture.cwm.freeze({ session: 's', window: 'w' }, never());
    expect(receipt.content.canary).toBe('not-run');
    expect(receipt.notes.join(' ')).toContain('differently each time');
  });
});
