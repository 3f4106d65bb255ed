import { Emitter } from '../../base/emitter.ts';
import type { Disposable } from '../../base/disposable.ts';
import type { Change, Signal } from '../../protocol/signals.ts';

const defaultKept = 4096;
/** With its sequence a signal then stays under 1 KB (S4-40). */
const maxChangeBytes = 960;

/**
 * Numbers the changes of this backend and keeps the latest ones, so that every reader goes at its own pace: a slow one
 * holds nobody up and costs no memory, it only finds that what it missed is gone.
 */
export class SignalBus implements Disposable {
  readonly #kept: Signal[] = [];
  readonly #maxKept: number;
  readonly #added = new Emitter<void>();
  #sequence: number;

  /**
   * @param firstSequence a number that no earlier backend of this storage directory has reached, so that a client which
   *   comes back to another backend is told to start over.
   * @param maxKept how many signals can be had again; default 4096.
   */
  constructor(firstSequence: number, maxKept: number = defaultKept) {
    this.#sequence = firstSequence;
    this.#maxKept = maxKept;
  }

  /** Sequence of the latest signal. */
  get head(): number {
    return this.#sequence;
  }

  /** A change with a name that is too long for a signal becomes a `resync`: clients then pull everything. */
  publish(change: Change): void {
    const isShort = Buffer.byteLength(JSON.stringify(change)) <= maxChangeBytes;
    this.#kept.push({ sequence: ++this.#sequence, change: isShort ? change : { type: 'resync' } });
    if (this.#kept.length > this.#maxKept) this.#kept.splice(0, this.#kept.length - this.#maxKept);
    this.#added.emit();
  }

  /** What came after `sequence`; one `resync` when that is no longer known, or was never a sequence of this backend. */
  after(sequence: number): readonly Signal[] {
    const missed = this.#sequence - sequence;
    if (missed === 0) return [];
    if (missed < 0 || missed > this.#kept.length) return [{ sequence: this.#sequence, change: { type: 'resync' } }];
    return this.#kept.slice(this.#kept.length - missed);
  }

  onAdded(listener: () => void): Disposable {
    return this.#added.subscribe(listener);
  }

  dispose(): void {
    this.#added.dispose();
  }
}
