import type { Disposable } from '../../base/disposable.ts';

/**
 * Calls `onIdle` once, when no request has run and no event stream has been open for `idleMs`.
 *
 * @param idleMs 0 is never.
 * @param isNeeded whether it must not end yet, although nobody uses it now; it waits for the same time again then.
 */
export class IdleWatch implements Disposable {
  readonly #idleMs: number;
  readonly #onIdle: () => void;
  readonly #isNeeded: () => boolean;
  #users = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(idleMs: number, onIdle: () => void, isNeeded: () => boolean = () => false) {
    this.#idleMs = idleMs;
    this.#onIdle = onIdle;
    this.#isNeeded = isNeeded;
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

  #idled(): void {
    if (this.#isNeeded()) this.#restart();
    else this.#onIdle();
  }

  #restart(): void {
    if (this.#idleMs > 0 && this.#users === 0) this.#timer = setTimeout(() => this.#idled(), this.#idleMs);
  }
}
