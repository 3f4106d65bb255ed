import { describe, expect, test } from 'vitest';
import { KeyedQueue, SerialQueue } from '../../src/base/serialQueue.ts';

describe('SerialQueue', () => {
  test('tasks run one after another, in the order they came', async () => {
    const queue = new SerialQueue();
    const log: string[] = [];
    const task = (name: string) => async () => {
      log.push(`${name} begins`);
      await Promise.resolve();
      log.push(`${name} ends`);
    };
    await Promise.all([queue.run(task('a')), queue.run(task('b'))]);
    expect(log).toEqual(['a begins', 'a ends', 'b begins', 'b ends']);
  });

  test('a failing task fails alone', async () => {
    const queue = new SerialQueue();
    const failing = queue.run(() => Promise.reject(new Error('no')));
    const next = queue.run(() => Promise.resolve('yes'));
    await expect(failing).rejects.toThrow('no');
    await expect(next).resolves.toBe('yes');
    expect(queue.size).toBe(0);
  });

  test('what is aborted before its turn never starts', async () => {
    const queue = new SerialQueue();
    const controller = new AbortController();
    let release = () => {};
    const running = queue.run(() => new Promise<void>((resolve) => (release = resolve)));
    let started = false;
    const waiting = queue.run(() => Promise.resolve((started = true)), controller.signal);
    await Promise.resolve();
    controller.abort();
    await expect(waiting, 'nobody waits for a turn that will not be used').rejects.toThrow();
    release();
    await running;
    await expect(queue.run(() => Promise.resolve('next'))).resolves.toBe('next');
    expect(started).toBe(false);
  });
});

describe('KeyedQueue', () => {
  test('keys do not wait for each other, and an empty queue is forgotten', async () => {
    const queues = new KeyedQueue<string>();
    let release = () => {};
    const slow = queues.run('a', () => new Promise<void>((resolve) => (release = resolve)));
    await expect(queues.run('b', () => Promise.resolve(1))).resolves.toBe(1);
    expect([queues.isBusy('a'), queues.isBusy('b')]).toEqual([true, false]);
    release();
    await slow;
    expect(queues.isBusy('a')).toBe(false);
  });

  test('a queue whose last task was aborted while it waited is forgotten too', async () => {
    const queues = new KeyedQueue<string>();
    let release = () => {};
    const slow = queues.run('a', () => new Promise<void>((resolve) => (release = resolve)));
    const controller = new AbortController();
    const waiting = queues.run('a', () => Promise.resolve(), controller.signal);
    controller.abort();
    await expect(waiting).rejects.toThrow();
    expect(queues.isBusy('a')).toBe(true);
    release();
    await slow;
    await Promise.resolve();
    expect(queues.isBusy('a')).toBe(false);
  });
});
