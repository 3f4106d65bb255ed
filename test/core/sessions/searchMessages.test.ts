import { describe, expect, test } from 'vitest';
import { codeOf, coreFixture, never, savedWindow } from '../coreFixture.ts';

describe('search over all conversations', () => {
  test('finds what was said with the session it was said in, and counts the sessions that were thawed from it', async () => {
    const fixture = await coreFixture();
    const { cwm } = fixture;
    await savedWindow(fixture);
    await cwm.updateSession({ session: 's', title: 'About caches' });
    const { items, total, hasMore } = await cwm.searchMessages({ text: 'prefix cache' });
    expect(items[0]).toMatchObject({ session: 's', title: 'About caches', alsoIn: 0, role: 'user' });
    expect(items[0]?.excerpt.text).toContain('prefix cache');
    expect([total, hasMore]).toEqual([items.length, false]);
    const { session } = await cwm.thaw({ window: 'w', copy: true }, never());
    const [again] = (await cwm.searchMessages({ text: 'prefix cache' })).items;
    expect(again).toMatchObject({ session, alsoIn: 1 });
  });

  test('finds a message of a branch that was left', async () => {
    const fixture = await coreFixture();
    const { cwm } = fixture;
    await cwm.createSession({ id: 's' });
    await cwm.send({ session: 's', text: 'A sentence about otters.' }, never());
    await cwm.rollBack({ session: 's', message: null });
    const { items } = await cwm.searchMessages({ text: 'otters' });
    expect(items).toHaveLength(1);
    const { message } = items[0]!;
    const led = await cwm.listMessages({ session: 's', upTo: message });
    expect(led.items.map(({ id }) => id)).toEqual([message]);
  });

  test('refuses to search for nothing', async () => {
    const { cwm } = await coreFixture();
    expect(await codeOf(cwm.searchMessages({ text: ' ' }))).toBe('CWM-1003');
  });
});
