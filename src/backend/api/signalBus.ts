import { Emitter } from '../../base/emitter.ts';
import type { Disposable } from '../../base/disposable.ts';
import type { Change, Signal } from '../../protocol/signals.ts';

const defaultRemembered = 4096;
/** With its sequence a signal then stays under 1 KB (S4-40). */
const maxChangeBytes = 960;

/**
 * Numbers the changes of this backend and remembers the latest ones, so that every reader reads at its own pace. A slow reader delays
 * nobody and costs no memory: it gets a `resync` for the signals that the bus has forgotten.
 */
export class SignalBus implements Disposable {
  readonly #remembered: Signal[] = [];
  readonly #maxRemembered: number;
  readonly #added = new Emitter<void>();
  #sequence: number;

  /**
   * @param firstSequence a number that no earlier backend of this storage directory has reached, so that a client of an earlier
   *   backend gets a `resync`.
   * @param maxRemembered how many signals a reader can be behind; default 4096.
   */
  constructor(firstSequence: number, maxRemembered: number = defaultRemembered) {
    this.#sequence = firstSequence;
    this.#maxRemembered = maxRemembered;
  }

  /** Readers that wait for the next signal. */
  get readers(): number {
    return this.#added.listenerCount;
  }

  /** Sequence of the latest signal. */
  get head(): number {
    return this.#sequence;
  }

  /** A change with a name that is too long for a signal becomes a `resync`: clients then pull everything. */
  publish(change: Change): void {
    const isShort = Buffer.byteLength(JSON.stringify(change)) <= maxChangeBytes;
    this.#remembered.push({ sequence: ++this.#sequence, change: isShort ? change : { type: 'resync' } });
    if (this.#remembered.length > this.#maxRemembered)
      this.#remembered.splice(0, this.#remembered.length - this.#maxRemembered);
    this.#added.emit();
  }

  /** The signals after `sequence`; one `resync` when they are forgotten, or `sequence` is none of this backend. */
  after(sequence: number): readonly Signal[] {
    const missed = this.#sequence - sequence;
    if (missed === 0) return [];
    if (missed < 0 || missed > this.#remembered.length)
      return [{ sequence: this.#sequence, change: { type: 'resync' } }];
    return this.#remembered.slice(this.#remembered.length - missed);
  }

  /** After each signal. */
  onAdded(listener: () => void): Disposable {
    return this.#added.subscribe(listener);
  }

  dispose(): void {
    this.#added.dispose();
  }
}
