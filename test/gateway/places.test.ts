import { describe, expect, test } from 'vitest';
import { chooseSlot, type SlotWish } from '../../src/gateway/passing/chooseSlot.ts';
import { Places } from '../../src/gateway/passing/places.ts';
import type { Conversation } from '../../src/gateway/recognition/said.ts';

const { signal } = new AbortController();

/** Whether it is there by now. */
const settled = async <T>(promise: Promise<T>): Promise<T | null> => {
  const soon = new Promise<null>((resolve) => setImmediate(() => resolve(null)));
  return Promise.race([promise, soon]);
};

describe('places of a model server', () => {
  test('are given one after another to those that wait for the same one', async () => {
    const places = new Places();
    const first = await places.take('s', signal);
    const second = places.take('s', signal);
    const third = places.take('s', signal);
    expect(await settled(second)).toBeNull();
    first.leave();
    expect(await settled(third)).toBeNull();
    (await second).leave();
    expect(await third).toMatchObject({ slot: 0 });
  });

  test('that nobody waits for are given past those who wait for another one', async () => {
    const places = new Places();
    const only = (slot: number) => (free: readonly number[]) => (free.includes(slot) ? slot : null);
    await places.take('s', signal, 2, only(0));
    const waiting = places.take('s', signal, 2, only(0));
    expect(await places.take('s', signal, 2, only(1))).toMatchObject({ slot: 1 });
    expect(await settled(waiting)).toBeNull();
    expect(places.isTaken('s', 1)).toBe(true);
    expect(places.isTaken('other', 1)).toBe(false);
  });

  test('are not given to one that left, and given back once', async () => {
    const places = new Places();
    const first = await places.take('s', signal);
    const leaving = new AbortController();
    const left = places.take('s', leaving.signal);
    leaving.abort(new Error('The client left.'));
    await expect(left).rejects.toThrow('The client left.');
    const next = places.take('s', signal);
    first.leave();
    await next;
    first.leave();
    expect(await settled(places.take('s', signal))).toBeNull();
  });
});

describe('the slot for a request', () => {
  const state = { isBusy: false, isKept: true, isOwn: false, isEmptiedAtRest: false };
  const wish: SlotWish = { kept: undefined, begins: false, isUnsaved: false, isAlike: () => false };

  /** @param used when what is in each slot was used last; null: nothing is. */
  const choose = (
    used: readonly (number | null)[],
    given: Partial<SlotWish> = {},
    states: readonly Partial<typeof state>[] = [],
    free: readonly number[] = used.map((_, slot) => slot),
  ): number | null =>
    chooseSlot(
      free.map((slot) => ({ slot, ...state, ...states[slot] })),
      { ...wish, ...given },
      (slot) => (used[slot] === null ? null : ({ usedMs: used[slot] } as Conversation)),
    );

  test('is the one that has its conversation, and is waited for', () => {
    expect(choose([5, 9, null], { kept: 1 })).toBe(1);
    expect(choose([5, 9, null], { kept: 1 }, [], [0, 2])).toBeNull();
    expect(choose([5, 9, null], { kept: 1, begins: true }, [], [0, 2])).toBe(2);
  });

  test('is an empty one, else the one that was unused longest', () => {
    expect(choose([5, null, 3])).toBe(1);
    expect(choose([5, 9, 3])).toBe(2);
  });

  test('is a full one where only the server may have the conversation, or empties the others anyway', () => {
    expect(choose([5, null, 3], { isUnsaved: true })).toBe(2);
    expect(choose([null, null], { isUnsaved: true })).toBe(0);
    expect(choose([5, null, 3], {}, [{ isEmptiedAtRest: true }])).toBe(2);
  });

  test('of one that begins is that of a conversation that began alike', () => {
    const isAlike = ({ usedMs }: Conversation): boolean => usedMs > 4;
    expect(choose([5, null, 9, 3], { begins: true, isAlike })).toBe(0);
    expect(choose([5, null, 9, 3], { isAlike })).toBe(1);
  });

  test('is none in which another program works or the engine itself does, where there is another', () => {
    expect(choose([3, 5, 9], {}, [{ isBusy: true }, { isOwn: true }])).toBe(2);
    expect(choose([3, 5], {}, [{ isBusy: true }, { isOwn: true }])).toBe(0);
    expect(choose([3], {}, [{ isOwn: true }])).toBeNull();
  });
});
