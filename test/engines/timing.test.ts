import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { systemSleep } from '../../src/engines/http/timing.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe('a pause of the client', () => {
  it('S0-41 ends when its time is over', async () => {
    const pause = systemSleep(1000, new AbortController().signal);
    await vi.advanceTimersByTimeAsync(1000);
    await expect(pause).resolves.toBeUndefined();
    expect(vi.getTimerCount()).toBe(0);
  });

  it('S0-43 ends at once with an abort, and leaves no timer behind', async () => {
    const abort = new AbortController();
    const pause = systemSleep(1000, abort.signal);
    abort.abort(new Error('enough'));
    await expect(pause).rejects.toThrow('enough');
    expect(vi.getTimerCount()).toBe(0);
    await expect(systemSleep(1000, abort.signal)).rejects.toThrow('enough');
  });
});
