import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { codeOf, coreFixture, never, savedWindow, type CoreFixture } from './coreFixture.ts';

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
    expect(after.items[1]).toMatchObject({ id: items[1]?.id, role: 'system', sequence: 2 });
    expect(after.items[1]?.content).toMatchObject({ text: expect.stringMatching(/damaged/) });
    expect(await codeOf(cwm.send({ session: 't', text: 'Go on.' }, never())), 'no model is told that').toBe('CWM-4004');
  });
});
