/** Runs tasks one after another. A task that fails rejects its own promise and lets the next one run. */
export class SerialQueue {
  #tail: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  /** Tasks that run or wait. */
  get size(): number {
    return this.#waiting;
  }

  /** @throws the signal's reason when it is aborted before the task's turn comes; the task then never starts. */
  run<T>(task: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    this.#waiting++;
    const result = this.#tail.then(async () => {
      try {
        signal?.throwIfAborted();
        return await task();
      } finally {
        this.#waiting--;
      }
    });
    this.#tail = result.catch(() => undefined);
    return result;
  }
}

/** One {@link SerialQueue} for each key; a key's queue goes away when it is empty. */
export class KeyedQueue<Key> {
  readonly #queues = new Map<Key, SerialQueue>();

  /** Whether a task of this key runs or waits. */
  isBusy(key: Key): boolean {
    return this.#queues.has(key);
  }

  async run<T>(key: Key, task: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    let queue = this.#queues.get(key);
    if (!queue) this.#queues.set(key, (queue = new SerialQueue()));
    try {
      return await queue.run(task, signal);
    } finally {
      if (queue.size === 0 && this.#queues.get(key) === queue) this.#queues.delete(key);
    }
  }
}
