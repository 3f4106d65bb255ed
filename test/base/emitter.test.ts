import { describe, expect, it, vi } from 'vitest';
import { Emitter } from '../../src/base/emitter.ts';

describe('Emitter', () => {
  it('delivers each value to all listeners in order, also when one of them throws', () => {
    const errors: unknown[] = [];
    const heard: string[] = [];
    const emitter = new Emitter<number>((error) => errors.push(error));
    emitter.subscribe((value) => heard.push(`first ${value}`));
    emitter.subscribe(() => {
      throw new Error('a broken listener');
    });
    const last = emitter.subscribe((value) => heard.push(`last ${value}`));
    emitter.emit(1);
    last.dispose();
    emitter.emit(2);
    expect(heard).toEqual(['first 1', 'last 1', 'first 2']);
    expect(errors).toEqual([new Error('a broken listener'), new Error('a broken listener')]);
  });

  it('throws the error of a listener outside the call that emits, unless it is told who takes errors', () => {
    const later: (() => void)[] = [];
    const microtasks = vi.spyOn(globalThis, 'queueMicrotask').mockImplementation((task) => void later.push(task));
    const emitter = new Emitter<number>();
    const heard: number[] = [];
    emitter.subscribe(() => {
      throw new Error('a broken listener');
    });
    emitter.subscribe((value) => heard.push(value));
    emitter.emit(1);
    microtasks.mockRestore();
    expect(heard).toEqual([1]);
    expect(later).toHaveLength(1);
    expect(later[0]).toThrow('a broken listener');
  });

  it('gives a listener that is added during a delivery only later values', () => {
    const emitter = new Emitter<number>();
    const heard: number[] = [];
    const once = emitter.subscribe(() => {
      once.dispose();
      emitter.subscribe((value) => heard.push(value));
    });
    emitter.emit(1);
    emitter.emit(2);
    expect(heard).toEqual([2]);
  });

  it('has no listeners once it is disposed', () => {
    const emitter = new Emitter<number>();
    emitter.subscribe(() => expect.unreachable());
    expect(emitter.listenerCount).toBe(1);
    emitter.dispose();
    emitter.emit(1);
    expect(emitter.listenerCount).toBe(0);
  });
});
