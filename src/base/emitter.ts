import type { Disposable } from './disposable.ts';

export type Listener<T> = (value: T) => void;

/**
 * Delivers each value to every listener, in order of subscription. A listener that throws does not stop the others: its error goes to
 * `onError`, which by default rethrows it outside the current call.
 */
export class Emitter<T> implements Disposable {
  readonly #listeners = new Set<Listener<T>>();
  readonly #onError: (error: unknown) => void;

  constructor(
    onError: (error: unknown) => void = (error) =>
      queueMicrotask(() => {
        throw error;
      }),
  ) {
    this.#onError = onError;
  }

  get listenerCount(): number {
    return this.#listeners.size;
  }

  subscribe(listener: Listener<T>): Disposable {
    this.#listeners.add(listener);
    return { dispose: () => this.#listeners.delete(listener) };
  }

  emit(value: T): void {
    // A copy: a listener may subscribe another one, which gets only later values.
    const hearing = Array.from(this.#listeners);
    for (const listener of hearing) {
      try {
        listener(value);
      } catch (error) {
        this.#onError(error);
      }
    }
  }

  dispose(): void {
    this.#listeners.clear();
  }
}
