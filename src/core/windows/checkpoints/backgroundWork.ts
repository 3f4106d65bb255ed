import { unlessAborted } from '../../../base/unlessAborted.ts';

interface Running {
  /** Whether it ends when something comes for which a person waits; else that waits for it. */
  readonly yields: boolean;
  readonly abort: AbortController;
  readonly done: Promise<unknown>;
}

/** Work for whose result nobody asked, one at a time for each key. */
export class BackgroundWork<Key> {
  readonly #running = new Map<Key, Running>();

  get isIdle(): boolean {
    return this.#running.size === 0;
  }

  isRunning(key: Key): boolean {
    return this.#running.has(key);
  }

  /** Must not be called while work of this key runs. @throws what the task throws. */
  async run<T>(key: Key, yields: boolean, task: (signal: AbortSignal) => Promise<T>): Promise<T> {
    if (this.#running.has(key)) throw new Error('Work of this key is running.');
    const abort = new AbortController();
    const { promise: done, resolve } = Promise.withResolvers<void>();
    this.#running.set(key, { yields, abort, done });
    try {
      return await task(abort.signal);
    } finally {
      this.#running.delete(key);
      resolve();
    }
  }

  /**
   * Before something of this key for which a person waits: ends all work that yields, and waits for the work of the key.
   *
   * @param isBeside of other keys, whose work goes on. Default: of none.
   */
  async giveWay(key: Key | null, signal?: AbortSignal, isBeside: (other: Key) => boolean = () => false): Promise<void> {
    const ending = [...this.#running].filter(([other, { yields }]) => other === key || (yields && !isBeside(other)));
    for (const [, { yields, abort }] of ending) if (yields) abort.abort();
    if (ending.length > 0) await unlessAborted(Promise.all(ending.map(([, { done }]) => done)), signal);
  }

  /** Waits for the work of this key without ending it. */
  async ended(key: Key, signal: AbortSignal): Promise<void> {
    const work = this.#running.get(key);
    if (work) await unlessAborted(work.done, signal);
  }

  /** Ends the work of this key. */
  async stop(key: Key): Promise<void> {
    const work = this.#running.get(key);
    work?.abort.abort();
    await work?.done;
  }

  async stopAll(): Promise<void> {
    await Promise.all([...this.#running.keys()].map((key) => this.stop(key)));
  }
}
