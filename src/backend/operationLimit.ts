import { CwmError } from '../protocol/errors.ts';

/** Lets at most so many operations run at once; refuses the next one instead of making it wait (S0-62). */
export class OperationLimit {
  readonly #max: number;
  #running = 0;

  /** @param max default 10 */
  constructor(max = 10) {
    this.#max = max;
  }

  get running(): number {
    return this.#running;
  }

  /** @throws CwmError CWM-7003 when as many as allowed are running. */
  async run<T>(operation: () => Promise<T>): Promise<T> {
    if (this.#running >= this.#max) {
      throw new CwmError('CWM-7003', `${this.#running} operations are running; no more are started at once.`, {
        context: { running: this.#running, limit: this.#max },
      });
    }
    this.#running++;
    try {
      return await operation();
    } finally {
      this.#running--;
    }
  }
}
