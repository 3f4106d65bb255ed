import { describe, expect, test } from 'vitest';
import { chooseBatch, type Resident } from '../../../../src/core/memory/eviction/chooseBatch.ts';
import { builtInPolicies } from '../../../../src/core/memory/eviction/policies.ts';
import type { EvictionPolicy } from '../../../../src/core/memory/eviction/policy.ts';
import { pageOf } from '../../../../src/core/memory/page.ts';
import { budgetOf } from '../../../../src/core/memory/segments/budget.ts';
import { fc } from '../../../support/fc.ts';
import { aMessage } from '../../../store/builders.ts';

const [kvAware, importance, lru, modalityAware] = builtInPolicies;

interface Shape {
  readonly tokens: number;
  readonly pinned?: boolean;
  readonly protected?: boolean;
  readonly accessedAt?: number;
  readonly picture?: boolean;
}

const residentsOf = (shapes: readonly Shape[]): Resident[] =>
  shapes.map(({ tokens, pinned = false, protected: isProtected = false, accessedAt, picture }, at) => {
    const message = {
      ...aMessage(`m${at + 1}`, at + 1),
      role: at % 2 === 0 ? ('user' as const) : ('assistant' as const),
    };
    const page = pageOf(message, tokens);
    return {
      message,
      page: { ...page, ...(accessedAt && { accessedAt }), ...(picture && { modality: 'image' as const }) },
      tokens,
      isPinned: pinned,
      isProtected,
      thrash: 0,
    };
  });

const choose = (
  policy: EvictionPolicy,
  shapes: readonly Shape[],
  limit = 8_000,
  reused: number | null = 0.9,
  lostInFront = 0,
) => {
  const residents = residentsOf(shapes);
  const used = residents.reduce((sum, { tokens }) => sum + tokens, 0);
  const budget = budgetOf(limit, 200, 0);
  const batch = chooseBatch({
    policy,
    residents,
    added: [aMessage('next', 999)],
    budget,
    used,
    segmentTokens: 100,
    reused,
    lostInFront,
  });
  return { batch, residents, budget, used };
};

const turns = (count: number, tokens: number, change: (at: number) => Partial<Shape> = () => ({})): Shape[] =>
  Array.from({ length: count * 2 }, (_, at) => ({ tokens, ...change(at) }));

const shapes = fc.array(
  fc.record({ tokens: fc.integer({ min: 1, max: 900 }), pinned: fc.boolean(), protected: fc.boolean() }),
  { minLength: 2, maxLength: 40 },
);

describe('what leaves the prompt', () => {
  test.each([...builtInPolicies])(
    'S1-42 S1-43 with $name a batch ends where a turn ends, holds no pinned page and never more than fits',
    (policy) => {
      fc.assert(
        fc.property(shapes, (given) => {
          const { batch, residents, budget, used } = choose(policy, given);
          if (!batch) return;
          expect(batch.cut === residents.length || residents[batch.cut]?.message.role === 'user').toBe(true);
          const run = residents.slice(0, batch.cut);
          expect(batch.held.every((each) => !each.isPinned && run.includes(each))).toBe(true);
          const left = run.filter(({ isPinned }) => !isPinned).reduce((sum, { tokens }) => sum + tokens, 0);
          const after = used - left + 100;
          expect(after).toBeLessThan(used);
          expect(after).toBeLessThanOrEqual(budget.room);
          if (batch.heldTokens > 0) expect(after + batch.heldTokens).toBeLessThanOrEqual(budget.target);
        }),
      );
    },
  );

  test('S1-40 from 0.85 on, a batch ends at 0.70 or below', () => {
    for (const policy of builtInPolicies) {
      const { batch, residents, budget, used } = choose(policy, turns(15, 230));
      expect(used).toBeGreaterThan(budget.evictAt);
      const left = residents.slice(0, batch?.cut).reduce((sum, { tokens }) => sum + tokens, 0);
      expect(used - left + 100 + (batch?.heldTokens ?? 0)).toBeLessThanOrEqual(budget.target);
    }
  });

  test('the batch of the policy that knows the KV cache is large where prefixes are reused, and small where they are not', () => {
    const reusing = choose(kvAware, turns(15, 230), 8_000, 0.98).batch;
    const silent = choose(kvAware, turns(15, 230), 8_000, null).batch;
    const recomputing = choose(kvAware, turns(15, 230), 8_000, 0).batch;
    expect(reusing?.cut).toBeGreaterThan(recomputing?.cut ?? Infinity);
    expect(silent?.cut).toBe(reusing?.cut);
    expect(reusing?.heldTokens === 0 || reusing?.held.length === 0).toBe(true);
  });

  test('where the server was measured to lose what stands in front, that policy takes a larger batch, and a tenth of the room stays', () => {
    const kept = (lost: number) => {
      const { batch, residents, budget } = choose(kvAware, turns(80, 50), 8_000, 0.9, lost);
      const behind = residents.slice(batch?.cut).reduce((sum, { tokens }) => sum + tokens, 0);
      return behind / budget.evictAt;
    };
    const [usual, some, all] = [kept(0), kept(400), kept(6_000)];
    expect(usual).toBeGreaterThanOrEqual(0.2);
    expect(some).toBeLessThan(usual);
    expect(all).toBeLessThan(some);
    expect(all).toBeGreaterThanOrEqual(0.1);
  });

  test('S1-45 the lowest score leaves first: each policy holds something else', () => {
    const given = turns(15, 230, (at) => ({
      ...(at === 1 && { accessedAt: 29 }),
      ...(at === 4 && { picture: true, accessedAt: 30 }),
    }));
    const first = (policy: EvictionPolicy) => choose(policy, given).batch?.held[0]?.page.sequence;
    // The latest of those that leave; a user's message counts more; the one that was looked up; not the picture, although it was too.
    const cut = choose(lru, given).batch?.cut ?? 0;
    expect(first(importance)).toBe(cut - 1);
    expect(first(lru)).toBe(5);
    expect(first(modalityAware)).toBe(2);
    expect(first({ name: 'oldest', score: ({ position }) => -position })).toBe(1);
  });

  test('S1-44 what came back lately, and the plan, are held before anything else, under each policy', () => {
    const given = turns(15, 230, (at) => ({ protected: at === 2 }));
    for (const policy of builtInPolicies) expect(choose(policy, given).batch?.held[0]?.page.sequence).toBe(3);
  });

  test('S1-42 the last three turns leave only where nothing else is left', () => {
    for (const policy of builtInPolicies) {
      expect(choose(policy, turns(15, 230)).batch?.cut).toBeLessThanOrEqual(24);
      expect(choose(policy, turns(2, 1_800)).batch?.cut).toBeGreaterThan(0);
    }
  });

  test('S1-48 where every page is pinned, nothing leaves', () => {
    expect(
      choose(
        lru,
        turns(15, 230, () => ({ pinned: true })),
      ).batch,
    ).toBeNull();
  });
});
