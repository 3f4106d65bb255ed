import { describe, expect, test } from 'vitest';
import { PageTable } from '../../../../src/core/memory/pages/pageTable.ts';
import type { MemoryPage, StorageTier } from '../../../../src/protocol/memory/page.ts';
import { fc } from '../../../support/fc.ts';

const kinds = ['transcript', 'summary', 'artifact', 'claim', 'procedure', 'index'] as const;
const modalities = ['text', 'image', 'audio', 'video', 'structured'] as const;
const tiers = ['L0', 'L1', 'L2', 'L3', 'L4'] as const;

const ids = Array.from({ length: 4 }, (_, at) => `p${at + 1}-aaaa`);
const anId = fc.constantFrom(...ids);
const tokens = fc.option(fc.nat(9_000), { nil: null });
const tier: fc.Arbitrary<StorageTier> = fc.constantFrom(...tiers);

const aPage: fc.Arbitrary<MemoryPage> = fc.record({
  id: anId,
  kind: fc.constantFrom(...kinds),
  modality: fc.constantFrom(...modalities),
  messageIds: fc.constant([]),
  sequence: fc.nat(99),
  represents: fc.array(fc.record({ page: anId, level: fc.constantFrom(0, 1, 2, 3) }), { maxLength: 3 }),
  sizeBytes: fc.nat(),
  tokens,
  importance: fc.double({ min: 0, max: 1, noNaN: true }),
  pinned: fc.boolean(),
  pinnedBy: fc.constant(null),
  tier,
  accesses: fc.nat(9),
  accessedAt: fc.nat(99),
  level: fc.constantFrom(0, 1, 2, 3),
});

type PageChange = Parameters<PageTable['update']>[1];

type Step =
  | { readonly do: 'register'; readonly page: MemoryPage }
  | { readonly do: 'remove'; readonly id: string }
  | { readonly do: 'update'; readonly id: string; readonly change: PageChange }
  | { readonly do: 'resolve'; readonly id: string };

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    fc.record({ do: fc.constant('register' as const), page: aPage }),
    fc.record({ do: fc.constant('remove' as const), id: anId }),
    fc.record({
      do: fc.constant('update' as const),
      id: anId,
      change: fc.record({ tier, tokens }, { requiredKeys: [] }) as fc.Arbitrary<PageChange>,
    }),
    fc.record({ do: fc.constant('resolve' as const), id: anId }),
  ),
  { maxLength: 60, size: 'max' },
);

/** A table after these steps, and what a plain map has after them. */
function after(done: readonly Step[]): { table: PageTable; model: Map<string, MemoryPage> } {
  const table = new PageTable();
  const model = new Map<string, MemoryPage>();
  for (const step of done) {
    if (step.do === 'register') {
      table.register(step.page);
      model.delete(step.page.id);
      model.set(step.page.id, step.page);
    } else if (step.do === 'remove') {
      table.remove(step.id);
      model.delete(step.id);
    } else if (step.do === 'update') {
      const before = model.get(step.id);
      if (before) model.set(step.id, { ...before, ...step.change });
      table.update(step.id, step.change);
    } else {
      expect(table.resolve(`page ${step.id}`, () => step.id)).toEqual(model.get(step.id) ?? null);
    }
  }
  return { table, model };
}

const idsOf = (pages: readonly MemoryPage[]): string[] => pages.map(({ id }) => id).sort();

describe('the table of pages', () => {
  test('S1-41 the tokens of the pages in the prompt are the budget that is used, after any sequence', () => {
    fc.assert(
      fc.property(steps, (done) => {
        const { table, model } = after(done);
        const here = [...model.values()].filter((page) => page.tier === 'L0');
        expect(table.used).toBe(here.reduce((sum, page) => sum + (page.tokens ?? 0), 0));
        expect(table.stats.uncounted).toBe(here.filter((page) => page.tokens === null).length);
      }),
    );
  });

  test('S1-32 its indexes agree with its entries, after any sequence', () => {
    fc.assert(
      fc.property(steps, (done) => {
        const { table, model } = after(done);
        const all = [...model.values()];
        expect(idsOf(table.entries)).toEqual(idsOf(all));
        for (const each of tiers) {
          const expected = all.filter((page) => page.tier === each);
          expect(idsOf(table.withTier(each))).toEqual(idsOf(expected));
          expect(table.stats.byTier[each]).toBe(expected.length);
        }
        for (const each of kinds)
          expect(table.stats.byKind[each]).toBe(all.filter((page) => page.kind === each).length);
        for (const each of modalities)
          expect(table.stats.byModality[each]).toBe(all.filter((page) => page.modality === each).length);
      }),
    );
  });

  test('S1-33 a look-up by a name never returns what is not true any more, and is cached', () => {
    fc.assert(
      fc.property(steps, anId, (done, id) => {
        const { table, model } = after([...done, { do: 'resolve', id }]);
        const before = table.stats;
        const found = table.resolve(`page ${id}`, () => id);
        expect(found).toEqual(model.get(id) ?? null);
        if (found) expect(table.stats.tlbHits).toBe(before.tlbHits + 1);
      }),
    );
  });

  test('S1-33 remembers 512 names at most, and forgets the one that was used the longest ago', () => {
    const table = new PageTable();
    const page = fc.sample(aPage, 1)[0]!;
    for (let at = 0; at < 600; at++) table.register({ ...page, id: `p${at}` });
    for (let at = 0; at < 513; at++) table.resolve(`p${at}`, () => `p${at}`);
    const { tlbMisses } = table.stats;
    table.resolve('p1', () => 'p1');
    expect(table.stats.tlbMisses).toBe(tlbMisses);
    table.resolve('p0', () => 'p0');
    expect(table.stats.tlbMisses).toBe(tlbMisses + 1);
  });

  test('S1-47 what the prompt has of a page is the page itself, or what stands for it, fullest first', () => {
    fc.assert(
      fc.property(steps, anId, (done, id) => {
        const { table, model } = after(done);
        const levels = [...model.values()].flatMap((page) => {
          if (page.tier !== 'L0') return [];
          const stands = page.represents.find((each) => each.page === id);
          return [...(page.id === id ? [page.level] : []), ...(stands ? [stands.level] : [])];
        });
        expect(table.inPromptAs(id).map(({ level }) => level)).toEqual(levels.sort((a, b) => a - b));
      }),
    );
  });
});
