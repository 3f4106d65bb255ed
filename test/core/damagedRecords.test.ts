import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { codeOf, coreFixture, never, savedWindow, talkedSession, type CoreFixture } from './coreFixture.ts';

/** Flips a bit in the middle of each file of the store that this names. */
function damage({ directory }: CoreFixture, named: RegExp): void {
  const paths = readdirSync(directory, { recursive: true, encoding: 'utf8' }).filter((file) => named.test(file));
  expect(paths).not.toEqual([]);
  for (const file of paths) {
    const bytes = readFileSync(path.join(directory, file));
    bytes[bytes.length >> 1]! ^= 1;
    writeFileSync(path.join(directory, file), bytes);
  }
}

describe('S4-05 damage', () => {
  test('of what a session last had as token ids costs it no turn: the engine tells them again', async () => {
    const fixture = await coreFixture();
    await savedWindow(fixture);
    damage(fixture, /contexts.s.token_log/);
    expect(await fixture.cwm.send({ session: 's', text: 'And now?' }, never())).toMatchObject({ prefixBreak: null });
    expect(await fixture.cwm.freeze({ session: 's', window: 'after' }, never())).toMatchObject({ operation: 'freeze' });
  });

  test.each([
    /windows.w.kv\.json/,
    /windows.w.blocks-/,
    /windows.w.manifest/,
    /windows.w.tokens/,
    /lineages.[0-9a-f]/,
    /contexts.s.(metadata|token_log)/,
  ])('of %s keeps no window from being deleted', async (named) => {
    const fixture = await coreFixture();
    await savedWindow(fixture);
    damage(fixture, named);
    expect(await codeOf(fixture.cwm.deleteWindow({ window: 'w' }, never()))).toBe('no error');
    expect(await fixture.store.windows.names()).toEqual([]);
    expect(await codeOf(fixture.cwm.deleteWindow({ window: 'w' }, never()))).toBe('CWM-2002');
  });

  test("damage of the records that name a session's blocks does not stop a prune", async () => {
    for (const named of [/lineages.[0-9a-f]/, /contexts.s.token_log/]) {
      const fixture = await coreFixture();
      fixture.engine.kind = 'embedded';
      await savedWindow(fixture);
      damage(fixture, named);
      expect((await fixture.cwm.prune({ keep: 0 }, never())).windows, String(named)).toMatchObject([{ name: 'w' }]);
    }
  });

  test('of a lineage is repaired with another salt: the words go on, and their KV is computed again', async () => {
    const fixture = await coreFixture();
    const { cwm } = fixture;
    await savedWindow(fixture);
    damage(fixture, /lineages.[0-9a-f]/);
    expect(await codeOf(cwm.send({ session: 's', text: 'And now?' }, never()))).toBe('CWM-4004');
    const { repairs, steps } = await cwm.verify({ repair: true }, never());
    expect(repairs.join()).toMatch(/lineage.* was recreated/);
    expect(steps.filter(({ step }) => !step.includes('set aside')).flatMap(({ problems }) => problems)).toEqual([]);
    expect(await cwm.thaw({ window: 'w' }, never())).toMatchObject({ verdict: 'rebuilt' });
    expect(await cwm.send({ session: 's', text: 'And now?' }, never())).toMatchObject({
      finishReason: expect.anything(),
    });
  });

  test('of a message leaves the others to be read, each in its place', async () => {
    const fixture = await coreFixture();
    const { cwm } = fixture;
    await savedWindow(fixture);
    await cwm.send({ session: 's', text: 'And now?' }, never());
    const { items } = await cwm.listMessages({ session: 's' });
    // Another session, whose messages are not in memory; both have one file.
    await cwm.thaw({ window: 'w', session: 't' }, never());
    damage(fixture, new RegExp(`contexts.t.messages.${items[1]?.id}`));
    const after = await cwm.listMessages({ session: 's' });
    expect(after).toMatchObject({ total: 4, hasMore: false });
    expect(after.items.toSpliced(1, 1)).toEqual(items.toSpliced(1, 1));
    expect(after.items[1]).toMatchObject({
      id: items[1]?.id,
      role: 'assistant',
      sequence: 2,
      lost: expect.any(String),
    });
    expect(after.items[1]?.content).toMatchObject({ text: expect.stringMatching(/damaged/) });
    expect(await codeOf(cwm.send({ session: 't', text: 'Go on.' }, never())), 'no model is told that').toBe('CWM-4004');
  });
});

describe('S0-24 a thaw opens the conversation when', () => {
  /** A window of two messages, whose second one is damaged. @returns ids of both. */
  async function damagedMessage(checkpoint: boolean) {
    const fixture = await coreFixture();
    await talkedSession(fixture);
    await fixture.cwm.freeze({ session: 's', window: 'w', checkpoint }, never());
    const { items } = await fixture.cwm.listMessages({ session: 's' });
    damage(fixture, new RegExp(`contexts.s.messages.${items[1]?.id}`));
    return { fixture, first: items[0]!, lost: items[1]!.id };
  }

  test('a message is damaged: a marked placeholder has its id, and the receipt says which is lost', async () => {
    const { fixture, first, lost } = await damagedMessage(true);
    const receipt = await fixture.cwm.thaw({ window: 'w', session: 't' }, never());
    expect(receipt).toMatchObject({ verdict: 'text-only', session: 't', notes: [expect.stringContaining(lost)] });
    expect(receipt.engine, 'no KV of the lost text is asked for').toBeNull();
    const { items, total } = await fixture.cwm.listMessages({ session: 't' });
    expect(total).toBe(2);
    expect(items[0]).toEqual(first);
    expect(items[1]).toMatchObject({ id: lost, role: 'assistant', sequence: 2, lost: expect.any(String) });
    expect(fixture.store.problems.some(({ movedTo }) => movedTo?.includes(lost))).toBe(true);
    await fixture.cwm.send({ session: 't', text: 'And now?' }, never());
    expect((await fixture.cwm.freeze({ session: 't', window: 'x' }, never())).operation).toBe('freeze');
    expect(await fixture.cwm.thaw({ window: 'x' }, never()), 'its ids are those of the placeholder').toMatchObject({
      verdict: 'proven',
    });
  });

  test('the frozen session itself has a damaged message: it takes turns again', async () => {
    const { fixture, lost } = await damagedMessage(false);
    expect(await fixture.cwm.thaw({ window: 'w', resume: true }, never())).toMatchObject({ verdict: 'text-only' });
    expect(await codeOf(fixture.cwm.send({ session: 's', text: 'And now?' }, never()))).toBe('no error');
    expect(
      await fixture.cwm.thaw({ window: 'w', session: 't' }, never()),
      'the ids of the window stay those of the lost text',
    ).toMatchObject({ verdict: 'text-only', notes: [expect.stringContaining(lost)] });
    await fixture.cwm.clone({ window: 'w', target: 'v' }, never());
    expect(await fixture.cwm.thaw({ window: 'v', session: 'u' }, never())).toMatchObject({ verdict: 'text-only' });
  });

  test('the salt of its lineage is damaged: the receipt says what to run', async () => {
    const fixture = await coreFixture();
    await savedWindow(fixture);
    damage(fixture, /lineages.[0-9a-f]/);
    expect(await fixture.cwm.thaw({ window: 'w', session: 't' }, never())).toMatchObject({
      verdict: 'text-only',
      notes: [expect.stringContaining('cwm verify --repair')],
    });
    expect((await fixture.cwm.listMessages({ session: 't' })).total).toBe(2);
  });

  test('its manifest is damaged, by naming what still has the conversation', async () => {
    const fixture = await coreFixture();
    await savedWindow(fixture);
    await fixture.cwm.freeze({ session: 's', window: 'later', checkpoint: true }, never());
    damage(fixture, /windows.w.manifest/);
    for (const attempt of [1, 2]) {
      await expect(fixture.cwm.thaw({ window: 'w' }, never()), `attempt ${attempt}`).rejects.toMatchObject({
        code: 'CWM-4004',
        message: expect.stringMatching(/session "s".*"later"/),
        hint: expect.stringMatching(/Continue in session "s", or thaw window "later"/),
        context: { session: 's' },
      });
    }
  });
});
