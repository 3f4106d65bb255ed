import { describe, expect, it } from 'vitest';
import { mapBounded } from '../../src/base/mapBounded.ts';

describe('mapBounded', () => {
  it('runs at most so many at once, and answers in order', async () => {
    let running = 0;
    let most = 0;
    const work = async (item: number): Promise<number> => {
      most = Math.max(most, ++running);
      for (let turn = 0; turn < 10 - item; turn++) await Promise.resolve();
      running--;
      return item * 2;
    };
    expect(await mapBounded([1, 2, 3, 4, 5, 6, 7], 3, work)).toEqual([2, 4, 6, 8, 10, 12, 14]);
    expect(most).toBe(3);
  });

  it('starts no more after the first failure', async () => {
    const begun: number[] = [];
    const work = async (item: number): Promise<void> => {
      begun.push(item);
      await Promise.resolve();
      if (item === 2) throw new Error('no');
    };
    await expect(mapBounded([1, 2, 3, 4, 5, 6], 2, work)).rejects.toThrow('no');
    expect(begun).not.toContain(5);
  });

  it('starts none once its signal is aborted', async () => {
    const aborted = AbortSignal.abort(new Error('stopped'));
    await expect(mapBounded([1], 1, async () => expect.fail('it ran'), aborted)).rejects.toThrow('stopped');
  });
});
