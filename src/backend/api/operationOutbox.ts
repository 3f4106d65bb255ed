import { createHash } from 'node:crypto';
import type { Reporter } from '../../core/ports/reporter.ts';

type Report = { readonly type: 'progress'; readonly step: string } | { readonly type: 'text'; readonly text: string };

const defaultMaxCharacters = 256 * 1024;

/**
 * What an operation has reported and its client has not taken yet. The operation never waits for the client. A newer step replaces an
 * older one and pieces of text join, so at most one step and `maxCharacters` of text wait here.
 */
export class OperationOutbox implements Reporter {
  readonly #maxCharacters: number;
  readonly #taken = createHash('sha256');
  #step: string | null = null;
  #text = '';
  /** Some text did not fit. The pieces after it would be of no use. */
  #isCut = false;
  #isClosed = false;
  #wake: (() => void) | undefined;

  /** @param maxCharacters of text that may wait, in UTF-16 units; default 262,144. */
  constructor(maxCharacters: number = defaultMaxCharacters) {
    this.#maxCharacters = maxCharacters;
  }

  readonly progress = (step: string): void => {
    this.#step = step;
    this.#wake?.();
  };

  readonly text = (piece: string): void => {
    if (this.#isCut || piece === '') return;
    if (this.#text.length + piece.length > this.#maxCharacters) {
      this.#isCut = true;
      this.#text = '';
      return;
    }
    this.#text += piece;
    this.#wake?.();
  };

  /** No more reports will come. */
  close(): void {
    this.#isClosed = true;
    this.#wake?.();
  }

  /** Waits for a report. @returns false when none is there and none will come. */
  async hasMore(): Promise<boolean> {
    while (this.#isEmpty && !this.#isClosed) {
      const woken = Promise.withResolvers<void>();
      this.#wake = woken.resolve;
      await woken.promise;
    }
    return !this.#isEmpty;
  }

  take(): Report[] {
    const reports: Report[] = [];
    if (this.#step !== null) reports.push({ type: 'progress', step: this.#step });
    if (this.#text !== '') {
      reports.push({ type: 'text', text: this.#text });
      this.#taken.update(this.#text, 'utf16le');
    }
    this.#step = null;
    this.#text = '';
    return reports;
  }

  /** Whether the pieces that were taken are all of this text. Can be asked once, at the end. */
  hasGiven(text: string): boolean {
    const whole = createHash('sha256').update(text, 'utf16le').digest('hex');
    return !this.#isCut && this.#taken.digest('hex') === whole;
  }

  get #isEmpty(): boolean {
    return this.#step === null && this.#text === '';
  }
}
