import { createHash } from 'node:crypto';
import type { Reporter } from '../../core/ports/reporter.ts';
import type { MessageId } from '../../protocol/ids.ts';

type Piece = { readonly type: 'text' | 'reasoning' | 'tool'; text: string; chunk: number };
type Report =
  | { readonly type: 'progress'; readonly step: string }
  | { readonly type: 'answer'; readonly message: MessageId }
  | Readonly<Piece>;

const defaultMaxCharacters = 256 * 1024;

/**
 * What an operation has reported and its client has not taken yet. The operation never waits for the client. A newer step replaces an
 * older one and pieces of one part join, so at most one step and `maxCharacters` of text wait here.
 */
export class OperationOutbox implements Reporter {
  readonly #maxCharacters: number;
  readonly #taken = createHash('sha256');
  #step: string | null = null;
  #answer: MessageId | null = null;
  #pieces: Piece[] = [];
  #characters = 0;
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

  /** It goes with the first piece: a failure before that still has a status of its own. */
  readonly begun = (message: MessageId): void => void (this.#answer = message);

  readonly text = (piece: string, chunk: number): void => this.#add('text', piece, chunk);
  readonly reasoning = (piece: string, chunk: number): void => this.#add('reasoning', piece, chunk);
  readonly tool = (piece: string, chunk: number): void => this.#add('tool', piece, chunk);

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
    if (this.#answer !== null && this.#pieces.length > 0) {
      reports.push({ type: 'answer', message: this.#answer });
      this.#answer = null;
    }
    for (const piece of this.#pieces) {
      reports.push(piece);
      if (piece.type === 'text') this.#taken.update(piece.text, 'utf16le');
    }
    this.#step = null;
    this.#pieces = [];
    this.#characters = 0;
    return reports;
  }

  /** Whether the pieces that were taken are all of this text. Can be asked once, at the end. */
  hasGiven(text: string): boolean {
    const whole = createHash('sha256').update(text, 'utf16le').digest('hex');
    return !this.#isCut && this.#taken.digest('hex') === whole;
  }

  #add(type: Piece['type'], text: string, chunk: number): void {
    if (this.#isCut || text === '') return;
    this.#characters += text.length;
    if (this.#characters > this.#maxCharacters) {
      this.#isCut = true;
      this.#pieces = [];
      return;
    }
    const last = this.#pieces.at(-1);
    if (last?.type === type) {
      last.text += text;
      last.chunk = chunk;
    } else this.#pieces.push({ type, text, chunk });
    this.#wake?.();
  }

  get #isEmpty(): boolean {
    return this.#step === null && this.#pieces.length === 0;
  }
}
