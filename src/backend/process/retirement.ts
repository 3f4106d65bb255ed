import { CwmError } from '../../protocol/errors.ts';

/** The operations that a retiring backend waits for. */
interface RunningOperations {
  readonly running: number;
  settled(): Promise<void>;
}

/** How a backend makes room for the next one: it begins nothing new, and stops when the running operations have ended. */
export class Retirement {
  readonly #operations: RunningOperations;
  readonly #onRetiring: (running: number) => void;
  readonly #stop: () => void;
  #hasBegun = false;

  /**
   * @param onRetiring is called with the number of operations that still run.
   * @param stop is called when they have ended.
   */
  constructor(operations: RunningOperations, onRetiring: (running: number) => void, stop: () => void) {
    this.#operations = operations;
    this.#onRetiring = onRetiring;
    this.#stop = stop;
  }

  /** Why this backend begins nothing new; null while it takes requests. */
  get noMoreWhy(): CwmError | null {
    if (!this.#hasBegun) return null;
    return new CwmError('BackendUnavailable', 'This backend makes room for a newer one and begins nothing new.', {
      hint: 'Try again in a moment.',
      context: { reconnect: true },
    });
  }

  begin(): { running: number } {
    this.#hasBegun = true;
    const { running } = this.#operations;
    this.#onRetiring(running);
    void this.#operations.settled().then(() => this.#stop());
    return { running };
  }

  /**
   * Why a read-only store refuses a change. A disk that was full or not writable at the start may be writable by now. So this backend
   * retires, and the next call starts one that looks again, also where it reaches this one before it has stopped.
   */
  refusal(why: CwmError): CwmError {
    if (this.noMoreWhy) return this.noMoreWhy;
    if (why.name !== 'UnsupportedSchema') this.begin();
    return why;
  }
}
