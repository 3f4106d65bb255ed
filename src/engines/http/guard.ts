import { CwmError } from '../../protocol/errors.ts';
import type { Timer } from './timing.ts';

/** Ends one request when its caller aborts or its time is over, and knows afterwards which of the two happened. */
export class RequestGuard {
  readonly #controller = new AbortController();
  readonly #caller: AbortSignal;
  readonly #timer: Timer;
  readonly #onAbort = (): void => this.#controller.abort(this.#caller.reason);
  #cancelTimer: () => void = () => undefined;
  #expiredAfterMs: number | null = null;

  constructor(caller: AbortSignal, timer: Timer) {
    this.#caller = caller;
    this.#timer = timer;
    if (caller.aborted) this.#onAbort();
    else caller.addEventListener('abort', this.#onAbort, { once: true });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Gives the request that long from now; replaces what was given before. */
  allow(timeoutMs: number): void {
    this.#cancelTimer();
    this.#cancelTimer = this.#timer.schedule(timeoutMs, () => {
      this.#expiredAfterMs = timeoutMs;
      this.#controller.abort(new Error('time is over'));
    });
  }

  /** The error to throw when this guard ended the request; null when something else did. */
  verdict(label: string, cause: unknown): CwmError | null {
    if (this.#caller.aborted)
      return new CwmError('Cancelled', 'The request to the model server was cancelled.', { cause });
    if (this.#expiredAfterMs === null) return null;
    const seconds = Math.round(this.#expiredAfterMs / 1000);
    return new CwmError('EngineTimeout', `The model server at ${label} sent nothing for ${seconds} s.`, {
      cause,
      context: { engine: label, timeoutMs: this.#expiredAfterMs },
    });
  }

  dispose(): void {
    this.#cancelTimer();
    this.#caller.removeEventListener('abort', this.#onAbort);
  }
}
