import { describe, expect, test } from 'vitest';
import { commonPrefixLength, TokenList } from '../../src/base/tokenIds.ts';
import { fc } from '../support/fc.ts';

const some = fc.array(fc.nat({ max: 2 }), { maxLength: 6 });

describe('a list of token ids', () => {
  test('never changes, whatever lists go on from it, and each is what it began with and what came behind', () => {
    const steps = fc.array(fc.record({ from: fc.nat(), one: some, other: some }), { maxLength: 30 });
    fc.assert(
      fc.property(some, steps, (first, following) => {
        const lists = [{ list: TokenList.of(first), ids: first }];
        for (const { from, one, other } of following) {
          const before = lists[from % lists.length]!;
          lists.push({ list: before.list.followedBy(one, other), ids: [...before.ids, ...one, ...other] });
        }
        for (const { list, ids } of lists) {
          expect(list.toArray()).toEqual(ids);
          expect(list).toHaveLength(ids.length);
        }
      }),
    );
  });

  test('says how much of its beginning others have, in one part or several', () => {
    fc.assert(
      fc.property(some, some, some, (ids, one, other) => {
        const list = TokenList.of(ids).followedBy([7]);
        expect(list.sharedWith(one, other)).toBe(commonPrefixLength([...ids, 7], [...one, ...other]));
        expect(list.sharedWith(ids, [7, 1])).toBe(ids.length + 1);
      }),
    );
  });
});
