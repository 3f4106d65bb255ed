import { expect, test } from 'vitest';
import { packPages } from '../../../../src/core/memory/pages/packPages.ts';
import { fc } from '../../../support/fc.ts';

const sizes = fc.array(fc.integer({ min: 0, max: 400 }), { maxLength: 12 });

/** A page whose text is half as long at each higher level. */
const page = (size: number, at: number) => ({
  page: `p${at}`,
  textAt: (level: 0 | 1 | 2 | 3) => ({ text: 'x'.repeat(Math.floor(size / 2 ** level)), level }),
});
const count = async (text: string): Promise<number> => text.length;

test('S1-61 a pack never exceeds its budget, and names each page once: included, shortened or left out', async () => {
  await fc.assert(
    fc.asyncProperty(sizes, fc.integer({ min: -10, max: 1_000 }), async (given, budget) => {
      const pack = await packPages(given.map(page), budget, [0, 1, 2], count);
      expect(pack.tokens).toBeLessThanOrEqual(Math.max(0, budget));
      expect(pack.tokens).toBe(pack.included.reduce((sum, { text }) => sum + text.length, 0));
      const named = [...pack.included.map((each) => each.page), ...pack.omitted];
      expect(named.sort()).toEqual(given.map((_, at) => `p${at}`).sort());
      expect(pack.truncated).toEqual(pack.included.filter(({ level }) => level > 0).map((each) => each.page));
    }),
  );
});

test('S1-43 a page is shortened level by level before it is left out, and with fewer than 50 tokens nothing is tried', async () => {
  const levels = async (budget: number) =>
    (await packPages([page(400, 0)], budget, [0, 1, 2], count)).included.map(({ level }) => level);
  expect(await levels(400)).toEqual([0]);
  expect(await levels(399)).toEqual([1]);
  expect(await levels(199)).toEqual([2]);
  expect(await levels(99)).toEqual([]);
  expect((await packPages([page(8, 0)], 49, [0], count)).omitted).toEqual(['p0']);
});
