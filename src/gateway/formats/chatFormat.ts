import { ChatAnswer } from './chatAnswer.ts';
import { readChatRequest } from './chatCompletions.ts';
import { endedEarly, type AnswerError } from './answerError.ts';
import type { StreamEvent } from './eventSplitter.ts';
import { comment, type AnswerStream, type Format, type StreamOptions } from './format.ts';
import type { Answer } from './item.ts';
import { objectOf, type JsonObject } from './json.ts';
import { withFields } from './withFields.ts';
import { withoutIds } from './answerIds.ts';

/** Chat completions: what the client wrote and what the server answers pass as they are. */
export const chatFormat: Format = {
  isChat: true,
  read: readChatRequest,
  chatBody: (text, _body, added) => withFields(text, added),
  stream: (options) => new ChatStream(options),
  whole: (text) => withoutIds(text),
};

const showsUsage = (body: JsonObject): boolean => objectOf(body['stream_options'])?.['include_usage'] === true;

/** The client gets what it asked for, and nothing that only the gateway did. */
class ChatStream implements AnswerStream {
  readonly #answer = new ChatAnswer();
  readonly #closing: StreamOptions['closing'];
  readonly #showsUsage: boolean;

  constructor({ body, closing }: StreamOptions) {
    this.#closing = closing;
    this.#showsUsage = showsUsage(body);
  }

  get answer(): Answer {
    return this.#answer.answer;
  }

  event({ raw, data }: StreamEvent): string | null {
    if (data === null) return raw;
    this.#answer.event(data);
    if (data === '[DONE]') return comment(this.#closing(this.answer)) + raw;
    if (!this.#showsUsage && /"choices":\s*\[\]/.test(data) && data.includes('"usage"')) return null;
    return withoutIds(raw);
  }

  end(): string {
    return this.answer.isWhole || this.answer.error ? '' : this.fail(endedEarly);
  }

  fail({ message, type, code }: AnswerError): string {
    return `data: ${JSON.stringify({ error: { message, type, param: null, code } })}\n\n`;
  }
}
