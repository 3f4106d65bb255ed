import { CwmError } from '../../protocol/errors.ts';
import { backendSettings } from '../../protocol/settings/backendSettings.ts';
import { whereSet } from './rateLimit.ts';

/** Lets a limited number of operations run at once; refuses the next one instead of queueing it (S0-62). */
export class OperationLimit {
  readonly max: number;
  readonly #running = new Set<Promise<unknown>>();

  /** @param max 0: no limit. Default: 10. */
  constructor(max: number = backendSettings.maxOperations.default) {
    this.max = max === 0 ? Infinity : max;
  }

  get running(): number {
    return this.#running.size;
  }

  /** @throws CwmError TooManyOperations when as many as allowed are running. */
  async run<T>(operation: () => Promise<T>): Promise<T> {
    if (this.#running.size >= this.max) {
      throw new CwmError('TooManyOperations', `${this.#running.size} operations are running, which is the limit.`, {
        hint: `Wait for a running operation to end, or raise ${whereSet(backendSettings.maxOperations)}.`,
        context: { running: this.#running.size, limit: this.max },
      });
    }
    const result = operation();
    this.#running.add(result);
    try {
      return await result;
    } finally {
      this.#running.delete(result);
    }
  }

  /** Resolves when every operation that runs now has ended, also by failing. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#running);
  }
}
