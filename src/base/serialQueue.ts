import { unlessAborted } from './unlessAborted.ts';

/** Runs tasks one after another. A task that fails rejects its own promise and lets the next one run. */
export class SerialQueue {
  readonly #onEmpty: () => void;
  #tail: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  /** @param onEmpty called each time that the last task has ended. */
  constructor(onEmpty: () => void = () => undefined) {
    this.#onEmpty = onEmpty;
  }

  /** Tasks that run or wait. */
  get size(): number {
    return this.#waiting;
  }

  /** @throws the signal's reason as soon as it is aborted before the task's turn has come; the task then never starts. */
  run<T>(task: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    this.#waiting++;
    let hasStarted = false;
    const result = this.#tail.then(async () => {
      try {
        signal?.throwIfAborted();
        hasStarted = true;
        return await task();
      } finally {
        if (--this.#waiting === 0) this.#onEmpty();
      }
    });
    this.#tail = result.catch(() => undefined);
    return unlessAborted(result, signal, () => !hasStarted);
  }
}

/** One {@link SerialQueue} for each key; a key's queue goes away when it is empty. */
export class KeyedQueue<Key> {
  readonly #queues = new Map<Key, SerialQueue>();

  /** Whether a task of this key runs or waits. */
  isBusy(key: Key): boolean {
    return this.#queues.has(key);
  }

  run<T>(key: Key, task: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    let queue = this.#queues.get(key);
    if (!queue) this.#queues.set(key, (queue = new SerialQueue(() => this.#queues.delete(key))));
    return queue.run(task, signal);
  }
}
