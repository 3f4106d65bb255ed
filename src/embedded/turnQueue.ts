import { SerialQueue } from '../base/serialQueue.ts';

/** Lets one caller in at a time, in order. */
export class TurnQueue {
  readonly #queue = new SerialQueue();

  /**
   * Waits for the caller's turn, which lasts until the caller calls the function that it gets.
   *
   * @throws the signal's reason when it is aborted while waiting.
   */
  enter(signal: AbortSignal): Promise<() => void> {
    return new Promise((resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
      this.#queue.run(() => new Promise<void>((release) => resolve(release)), signal).catch(reject);
    });
  }
}
