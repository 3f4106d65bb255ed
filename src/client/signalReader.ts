import { setTimeout as delay } from 'node:timers/promises';
import type { Disposable } from '../base/disposable.ts';
import type { Signal } from '../protocol/signals.ts';
import type { BackendRecord } from '../protocol/backendRecord.ts';
import { readSignals } from './signalStream.ts';

const firstDelayMs = 250;
const longestDelayMs = 5000;
/** A live stream delivers within milliseconds. */
const longestWaitMs = 1000;

/**
 * Holds a stream of signals from the running backend open, and continues after the last signal when the backend restarts. The first
 * signal is a `resync`.
 */
export class SignalReader implements Disposable {
  readonly #client: string;
  readonly #find: (signal: AbortSignal) => Promise<BackendRecord | null>;
  readonly #onSignal: (signal: Signal) => void;
  readonly #onClosed: () => void;
  readonly #disposed = new AbortController();
  #isOpen = false;
  /** Callers that wait for a signal. */
  readonly #waiting = new Set<{ readonly sequence: number; readonly resolve: () => void }>();
  #retry = new AbortController();
  #lastSequence: number | null = null;
  #delayMs = firstDelayMs;

  constructor(
    client: string,
    find: (signal: AbortSignal) => Promise<BackendRecord | null>,
    onSignal: (signal: Signal) => void,
    onClosed: () => void,
  ) {
    this.#client = client;
    this.#find = find;
    this.#onSignal = onSignal;
    this.#onClosed = onClosed;
    void this.#run();
  }

  /** Ends the pause between two tries, because a backend is known to run. */
  retryNow(): void {
    this.#retry.abort();
  }

  /** Resolves when this signal was delivered, when the stream ends, or after {@link longestWaitMs}. */
  async caughtUp(sequence: number): Promise<void> {
    if (this.#disposed.signal.aborted || this.#hasSeen(sequence)) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const waiting = { sequence, resolve };
    this.#waiting.add(waiting);
    const timer = setTimeout(resolve, longestWaitMs);
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(waiting);
    }
  }

  dispose(): void {
    this.#disposed.abort();
    this.#retry.abort();
    for (const { resolve } of this.#waiting) resolve();
  }

  async #run(): Promise<void> {
    while (!this.#disposed.signal.aborted) {
      await this.#readOnce();
      await this.#pause();
    }
  }

  async #readOnce(): Promise<void> {
    const onOpen = (): void => {
      this.#isOpen = true;
      this.#delayMs = firstDelayMs;
    };
    try {
      const record = await this.#find(this.#disposed.signal);
      const source = record && { record, lastSequence: this.#lastSequence, client: this.#client };
      if (source) await readSignals(source, onOpen, (s) => this.#take(s), this.#disposed.signal);
    } catch {
      // The next try follows however the connection ended.
    }
    const wasOpen = this.#isOpen;
    this.#isOpen = false;
    if (wasOpen) for (const { resolve } of this.#waiting) resolve();
    if (wasOpen && !this.#disposed.signal.aborted) this.#onClosed();
  }

  #take(signal: Signal): void {
    const isFirst = this.#lastSequence === null;
    this.#lastSequence = signal.sequence;
    if (signal.change.type !== 'heartbeat') this.#onSignal(signal);
    // A listener that pulled before the stream was open has missed the changes in between.
    else if (isFirst) this.#onSignal({ ...signal, change: { type: 'resync' } });
    for (const waiting of this.#waiting) if (this.#hasSeen(waiting.sequence)) waiting.resolve();
  }

  #hasSeen(sequence: number): boolean {
    return this.#lastSequence !== null && this.#lastSequence >= sequence;
  }

  async #pause(): Promise<void> {
    this.#retry = new AbortController();
    try {
      await delay(this.#delayMs, undefined, { signal: this.#retry.signal, ref: false });
    } catch {
      // `retryNow` or `dispose` ended the pause.
    }
    this.#delayMs = Math.min(2 * this.#delayMs, longestDelayMs);
  }
}
