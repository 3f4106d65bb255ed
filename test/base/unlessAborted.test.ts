import { describe, expect, it } from 'vitest';
import { unlessAborted } from '../../src/base/unlessAborted.ts';

const stopped = new Error('stopped');

describe('unlessAborted', () => {
  it('answers what the work answers, with or without a signal', async () => {
    const { signal } = new AbortController();
    expect(await unlessAborted(Promise.resolve(1), undefined)).toBe(1);
    expect(await unlessAborted(Promise.resolve(1), signal)).toBe(1);
    await expect(unlessAborted(Promise.reject(new Error('no')), signal)).rejects.toThrow('no');
  });

  it("throws the signal's reason as soon as it is aborted, before and while it works", async () => {
    const work = new Promise<never>(() => undefined);
    await expect(unlessAborted(work, AbortSignal.abort(stopped))).rejects.toBe(stopped);
    const abort = new AbortController();
    const result = unlessAborted(work, abort.signal);
    abort.abort(stopped);
    await expect(result).rejects.toBe(stopped);
  });

  it('lets work end that may not be left', async () => {
    const work = Promise.withResolvers<number>();
    const abort = new AbortController();
    const result = unlessAborted(work.promise, abort.signal, () => false);
    abort.abort(stopped);
    work.resolve(7);
    expect(await result).toBe(7);
  });
});
