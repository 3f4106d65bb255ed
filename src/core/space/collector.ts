import type { Clock } from '../../base/clock.ts';
import { SerialQueue } from '../../base/serialQueue.ts';
import { isCwmError } from '../../protocol/errors.ts';
import { collect } from './collect.ts';
import type { Space } from './space.ts';

/** Keeps the KV budget in the background: no operation waits for it. */
export class Collector {
  readonly #space: Space;
  readonly #clock: Clock;
  readonly #onFailure: (error: unknown) => void;
  readonly #ended = new AbortController();
  /** One collection at a time; it takes the lock of the space only to delete. */
  readonly #queue = new SerialQueue();
  #isWaiting = false;
  #last: Promise<void> = Promise.resolve();

  /** @param onFailure gets the error; the next operation tries again. */
  constructor(space: Space, clock: Clock, onFailure: (error: unknown) => void) {
    this.#space = space;
    this.#clock = clock;
    this.#onFailure = onFailure;
  }

  /** Call it after each operation that may have made the engine write blocks. */
  collectSoon(): void {
    // A collection that has not begun yet will see these blocks too.
    if (this.#isWaiting || this.#ended.signal.aborted || this.#space.limits.kvBudgetBytes === null) return;
    this.#isWaiting = true;
    const { signal } = this.#ended;
    this.#last = this.#queue
      .run(async () => {
        this.#isWaiting = false;
        await collect(this.#space, this.#clock, signal);
      }, signal)
      .catch((error: unknown) => {
        this.#isWaiting = false;
        // The store of a backend that ends is closed, and its next start collects.
        if (!signal.aborted && !isCwmError(error, 'BackendUnavailable')) this.#onFailure(error);
      });
  }

  /** Resolves when no collection is running. */
  async settled(): Promise<void> {
    await this.#last;
  }

  /** Stops a running collection; half of it does no harm. */
  async close(): Promise<void> {
    this.#ended.abort();
    await this.#last;
  }
}
