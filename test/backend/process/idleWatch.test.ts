import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { IdleWatch } from '../../../src/backend/process/idleWatch.ts';

const minutes = (count: number): number => count * 60_000;

describe('idle watch', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('ends a backend that nobody has used for five minutes', () => {
    const onIdle = vi.fn<() => void>();
    const watch = new IdleWatch(minutes(5), onIdle);
    vi.advanceTimersByTime(minutes(5) - 1);
    expect(onIdle).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(onIdle).toHaveBeenCalledOnce();
    watch.dispose();
  });

  it('does not end a backend that clients need although none is there, and ends it later', () => {
    const onIdle = vi.fn<() => void>();
    let isNeeded = true;
    const watch = new IdleWatch(minutes(5), onIdle, () => isNeeded);
    vi.advanceTimersByTime(minutes(12));
    expect(onIdle).not.toHaveBeenCalled();
    isNeeded = false;
    vi.advanceTimersByTime(minutes(5));
    expect(onIdle).toHaveBeenCalledOnce();
    watch.dispose();
  });

  it('waits while one of two users is left, and then starts counting again', () => {
    const onIdle = vi.fn<() => void>();
    const watch = new IdleWatch(minutes(5), onIdle);
    vi.advanceTimersByTime(minutes(4));
    const [stream, request] = [watch.enter(), watch.enter()];
    vi.advanceTimersByTime(minutes(60));
    request.dispose();
    request.dispose();
    vi.advanceTimersByTime(minutes(60));
    expect(onIdle).not.toHaveBeenCalled();
    stream.dispose();
    vi.advanceTimersByTime(minutes(4));
    expect(onIdle).not.toHaveBeenCalled();
    vi.advanceTimersByTime(minutes(1));
    expect(onIdle).toHaveBeenCalledOnce();
    watch.dispose();
  });

  it('does nothing with 0 minutes, and nothing once disposed', () => {
    const onIdle = vi.fn<() => void>();
    new IdleWatch(0, onIdle).enter().dispose();
    const watch = new IdleWatch(minutes(5), onIdle);
    const user = watch.enter();
    watch.dispose();
    user.dispose();
    vi.advanceTimersByTime(minutes(60));
    expect(onIdle).not.toHaveBeenCalled();
  });
});
