import type { Disposable } from '../../base/disposable.ts';

/**
 * Calls `onIdle` once, when no request has run and no event stream has been open for `idleMs`.
 *
 * @param idleMs 0 is never.
 */
export class IdleWatch implements Disposable {
  readonly #idleMs: number;
  readonly #onIdle: () => void;
  #users = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(idleMs: number, onIdle: () => void) {
    this.#idleMs = idleMs;
    this.#onIdle = onIdle;
    this.#restart();
  }

  /** Counts one user until the result is disposed. */
  enter(): Disposable {
    this.#users++;
    clearTimeout(this.#timer);
    let left = false;
    return {
      dispose: () => {
        if (left) return;
        left = true;
        this.#users--;
        this.#restart();
      },
    };
  }

  dispose(): void {
    clearTimeout(this.#timer);
    this.#users = Number.POSITIVE_INFINITY;
  }

  #restart(): void {
    if (this.#idleMs > 0 && this.#users === 0) this.#timer = setTimeout(this.#onIdle, this.#idleMs);
  }
}
