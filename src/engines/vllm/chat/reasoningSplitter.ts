import type { ReasoningForm } from '../../../core/ports/engine.ts';
import { reasoningMarks } from '../../../core/ports/reasoningMarks.ts';

/**
 * Separates a model's reasoning from its answer in text that arrives in pieces. The server does so for chats, but not for prompts of token
 * ids.
 */
export class ReasoningSplitter {
  #stage: 'start' | 'thinking' | 'closed' | 'saying';
  /** Text that may be the beginning of a mark. */
  #held = '';
  #closers: readonly string[];
  #reasoning = '';
  #takenReasoning = 0;

  constructor(form: ReasoningForm) {
    this.#stage = { text: 'saying', marked: 'start', open: 'thinking' }[form] as 'saying' | 'start' | 'thinking';
    this.#closers = reasoningMarks.map(({ close }) => close);
  }

  /** The reasoning so far, without the white space around it. */
  get reasoning(): string {
    return this.#reasoning.trim();
  }

  /** What of it came since the last call, without the white space before all of it. */
  takeReasoning(): string {
    const from = this.#takenReasoning || this.#reasoning.search(/\S/);
    if (from < 0) return '';
    this.#takenReasoning = this.#reasoning.length;
    return this.#reasoning.slice(from);
  }

  /** @returns the text of the answer that this piece completes. */
  push(piece: string): string {
    this.#held += piece;
    if (this.#stage === 'start') this.#open();
    if (this.#stage === 'thinking') this.#think();
    if (this.#stage === 'closed') {
      this.#held = this.#held.trimStart();
      if (this.#held !== '') this.#stage = 'saying';
    }
    return this.#stage === 'saying' ? this.#take() : '';
  }

  /** @returns the rest of the answer's text, when nothing follows. */
  end(): string {
    if (this.#stage === 'thinking') this.#reasoning += this.#take();
    return this.#take();
  }

  #open(): void {
    const text = this.#held.trimStart();
    const mark = reasoningMarks.find(({ open }) => text.startsWith(open));
    if (mark) {
      this.#closers = [mark.close];
      this.#held = text.slice(mark.open.length);
      this.#stage = 'thinking';
    } else if (!reasoningMarks.some(({ open }) => open.startsWith(text))) this.#stage = 'saying';
  }

  #think(): void {
    const found = this.#closers
      .map((mark) => ({ mark, at: this.#held.indexOf(mark) }))
      .filter(({ at }) => at >= 0)
      .sort((a, b) => a.at - b.at)[0];
    if (found) {
      this.#reasoning += this.#held.slice(0, found.at);
      this.#held = this.#held.slice(found.at + found.mark.length);
      this.#stage = 'closed';
      return;
    }
    const keep = Math.max(...this.#closers.map((mark) => startedLength(this.#held, mark)));
    this.#reasoning += this.#held.slice(0, this.#held.length - keep);
    this.#held = this.#held.slice(this.#held.length - keep);
  }

  #take(): string {
    const text = this.#held;
    this.#held = '';
    return text;
  }
}

/** Number of characters at the end of the text that may be the beginning of the mark. */
function startedLength(text: string, mark: string): number {
  let length = Math.min(text.length, mark.length - 1);
  while (!text.endsWith(mark.slice(0, length))) length--;
  return length;
}
