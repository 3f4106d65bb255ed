import { describe, expect, it } from 'vitest';
import { mergeContent } from '../../../src/core/tracker/merge.ts';
import { builtInResolvers, reconcile } from '../../../src/core/tracker/reconcile.ts';
import { canonicalJson, sameContent } from '../../../src/core/tracker/state.ts';
import { conflictPolicies, type JsonObject, type StateContent } from '../../../src/protocol/schemas/tracker.ts';
import { fc } from '../../support/fc.ts';

const content = (data: JsonObject): StateContent => ({ data, metadata: {} });

/** Few names and values, so that sides agree and disagree often. */
const value = fc.letrec<{ value: unknown; object: JsonObject }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    fc.constantFrom(null, true, 0, 1, 'x', 'y'),
    fc.array(fc.constantFrom(1, 2), { maxLength: 2 }),
    tie('object'),
  ),
  object: fc.dictionary(fc.constantFrom('a', 'b', 'c', 'constructor'), tie('value'), { maxKeys: 3 }),
}));
const anyContent: fc.Arbitrary<StateContent> = fc.record({
  data: value.object,
  metadata: fc.dictionary(fc.constantFrom('m', 'n'), fc.constantFrom('x', 'y')),
});
const anySide = fc
  .tuple(anyContent, fc.integer({ min: 0, max: 3 }), fc.constantFrom('2026-01-01', '2026-01-02'))
  .map(([given, version, lastUpdated]) => ({ ...given, version, lastUpdated }));

/** Every value that is no object, by its path. */
function leaves({ data, metadata }: StateContent): Map<string, string> {
  const found = new Map<string, string>();
  const visit = (inner: unknown, path: string): void => {
    if (typeof inner !== 'object' || inner === null || Array.isArray(inner) || Object.keys(inner).length === 0) {
      found.set(path, canonicalJson(inner));
    } else for (const [name, deeper] of Object.entries(inner)) visit(deeper, `${path}.${name}`);
  };
  visit({ data, metadata }, '');
  return found;
}

describe('S3-05 merge', () => {
  it('takes what each side changed, into objects; of what both changed the latest; a change before a removal', () => {
    const base = content({ same: 1, ours: 1, theirs: 1, both: 1, gone: 1, lost: 1, deep: { a: 1, b: 1 }, list: [1] });
    const latest = content({
      same: 1,
      ours: 2,
      theirs: 1,
      both: 2,
      lost: 2,
      deep: { a: 2, b: 1 },
      list: [1, 2],
      new: 1,
    });
    const other = content({ same: 1, ours: 1, theirs: 3, both: 3, gone: 1, deep: { a: 1, b: 3, c: 3 }, list: [1, 3] });
    expect(mergeContent(base, latest, other).data).toEqual({
      same: 1,
      ours: 2,
      theirs: 3,
      both: 2,
      lost: 2,
      deep: { a: 2, b: 3, c: 3 },
      list: [1, 2],
      new: 1,
    });
  });

  it('of a side with itself, or with the base, is that side', () => {
    fc.assert(
      fc.property(anyContent, anyContent, (base, side) => {
        expect(sameContent(mergeContent(base, side, side), side)).toBe(true);
        expect(sameContent(mergeContent(base, side, base), side)).toBe(true);
        expect(sameContent(mergeContent(base, base, side), side)).toBe(true);
      }),
    );
  });

  it('merged with one of its sides again, stays as it is', () => {
    fc.assert(
      fc.property(anyContent, anyContent, anyContent, (base, latest, other) => {
        const merged = mergeContent(base, latest, other);
        expect(sameContent(mergeContent(latest, merged, latest), merged)).toBe(true);
        expect(sameContent(mergeContent(other, merged, other), merged)).toBe(true);
      }),
    );
  });

  it('invents nothing, and keeps what only one side changed', () => {
    fc.assert(
      fc.property(anyContent, anyContent, anyContent, (base, latest, other) => {
        const [from, ours, theirs, merged] = [base, latest, other, mergeContent(base, latest, other)].map(leaves) as [
          Map<string, string>,
          Map<string, string>,
          Map<string, string>,
          Map<string, string>,
        ];
        for (const [path, leaf] of merged) {
          if (leaf !== '{}') expect([ours.get(path), theirs.get(path)], path).toContain(leaf);
        }
        for (const [path, leaf] of ours) {
          if (theirs.get(path) === from.get(path) && from.get(path) !== leaf && theirs.has(path)) {
            expect(merged.get(path), path).toBe(leaf);
          }
        }
      }),
    );
  });
});

describe('S3-05 conflict policies', () => {
  const sides = {
    base: content({ a: 0 }),
    local: { version: 2, lastUpdated: '2026-01-02', ...content({ a: 1, b: 1 }) },
    peer: { version: 3, lastUpdated: '2026-01-01', ...content({ a: 2, c: 2 }) },
  };

  it.each([
    ['keep-latest', { a: 1, b: 1 }],
    ['keep-oldest', { a: 2, c: 2 }],
    ['merge', { a: 1, b: 1, c: 2 }],
  ] as const)('%s', (policy, data) => {
    expect(reconcile(sides, builtInResolvers[policy])).toEqual({ content: content(data), conflict: true });
  });

  it('manual lists both', () => {
    const { local, peer } = sides;
    expect(() => reconcile(sides, builtInResolvers.manual)).toThrow(
      expect.objectContaining({ code: 'CWM-3107', context: { local, peer } }) as Error,
    );
  });

  it('all come to the same, whichever side asks, and are not needed when one side changed nothing', () => {
    fc.assert(
      fc.property(anyContent, anySide, anySide, fc.constantFrom(...conflictPolicies), (base, a, b, policy) => {
        const ask = (local: typeof a, peer: typeof a): unknown => {
          try {
            const agreed = reconcile({ base, local, peer }, builtInResolvers[policy]);
            return { ...agreed, content: canonicalJson(agreed.content) };
          } catch (error) {
            return (error as { code: string }).code;
          }
        };
        expect(ask(a, b)).toEqual(ask(b, a));
        const changed = { content: canonicalJson({ data: a.data, metadata: a.metadata }), conflict: false };
        expect(ask(a, { ...b, ...base })).toEqual(changed);
        expect(ask(a, a)).toEqual(changed);
      }),
    );
  });
});
