import { describe, expect, test } from 'vitest';
import { codeOf, coreFixture, never } from '../../coreFixture.ts';

describe('search for pages', () => {
  test('S1-55 finds pages of a branch that was left, with other words, and applies the limit after ranking', async () => {
    const { cwm } = await coreFixture();
    await cwm.createSession({ id: 's' });
    await cwm.send({ session: 's', text: 'We deploy from the branch release/blue.' }, never());
    await cwm.rollBack({ session: 's', message: null });
    await cwm.send(
      { session: 's', text: 'Something about deployments, and about much else that is not of interest here.' },
      never(),
    );
    const { items, total } = await cwm.searchPages({ text: 'Which branch was deployed?', session: 's', limit: 1 });
    expect(items.map(({ text }) => text)).toEqual(['We deploy from the branch release/blue.']);
    expect(items[0]?.page).toMatch(/^p1-[0-9a-f]{4}$/);
    expect(total).toBeGreaterThan(1);
  });

  test('a huge page comes in part, and says so', async () => {
    const { cwm } = await coreFixture();
    await cwm.createSession({ id: 's' });
    await cwm.send({ session: 's', text: `The heron. ${'x '.repeat(5_000)}` }, never());
    const [page] = (await cwm.searchPages({ text: 'heron' })).items;
    expect([page?.isCut, page?.text.length]).toEqual([true, 8_192]);
  });

  test('a session that is not there, an empty question and a limit out of range are refused', async () => {
    const { cwm } = await coreFixture();
    expect(await codeOf(cwm.searchPages({ text: 'x', session: 'other' }))).toBe('CWM-2001');
    expect(await codeOf(cwm.searchPages({ text: ' ' }))).toBe('CWM-1003');
    expect(await codeOf(cwm.searchPages({ text: 'x', limit: 0 }))).toBe('CWM-1003');
    expect(await codeOf(cwm.searchPages({ text: 'x'.repeat(1_001) }))).toBe('CWM-1003');
  });
});
