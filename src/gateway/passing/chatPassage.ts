import { ChatAnswer } from '../formats/chatAnswer.ts';
import type { StreamEvent } from '../formats/eventSplitter.ts';
import type { Answer } from '../formats/item.ts';
import { withoutIds } from './answerIds.ts';
import type { StreamTap } from './relay.ts';

export interface PassageOptions {
  /** The client asked for the chunk with the counts of tokens, and not only the gateway. */
  readonly showsUsage: boolean;
  /** What the client gets as comments when the answer has ended. */
  readonly closing: (answer: Answer) => string;
}

/** A streamed chat on its way to the client, which gets what it asked for and nothing that only the gateway did. */
export class ChatPassage implements StreamTap {
  readonly #answer = new ChatAnswer();
  readonly #options: PassageOptions;

  constructor(options: PassageOptions) {
    this.#options = options;
  }

  get answer(): Answer {
    return this.#answer.answer;
  }

  event({ raw, data }: StreamEvent): string | null {
    if (data === null) return raw;
    this.#answer.event(data);
    if (data === '[DONE]') return this.#options.closing(this.answer) + raw;
    if (!this.#options.showsUsage && /"choices":\s*\[\]/.test(data) && data.includes('"usage"')) return null;
    return withoutIds(raw);
  }

  end(): string {
    return '';
  }
}
