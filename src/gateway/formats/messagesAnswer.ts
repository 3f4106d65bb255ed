import { endedEarly, type AnswerError } from './answerError.ts';
import { ChatAnswer } from './chatAnswer.ts';
import { chatDelta, namedEvent } from './chatDelta.ts';
import type { StreamEvent } from './eventSplitter.ts';
import { comment, type AnswerStream, type StreamOptions } from './format.ts';
import type { Answer } from './item.ts';
import { parsed } from './json.ts';

/** An answer as Messages have it. */
export function messageOf({ item, model, ...answer }: Answer, answerId: string): object {
  return {
    id: `msg_${answerId}`,
    type: 'message',
    role: 'assistant',
    model: model ?? '',
    content: [
      ...(item.reasoning === undefined ? [] : [{ type: 'thinking', thinking: item.reasoning, signature: '' }]),
      ...(item.text === '' ? [] : [{ type: 'text', text: item.text }]),
      ...(item.calls ?? []).map(({ id, name, arguments: given }) => ({
        type: 'tool_use',
        id,
        name,
        input: parsed(given) ?? {},
      })),
    ],
    stop_reason: stopReason({ item, model, ...answer }),
    stop_sequence: null,
    usage: usageOf(answer.usage),
  };
}

function stopReason({ item, finishReason }: Answer): string {
  if (item.calls) return 'tool_use';
  return finishReason === 'length' ? 'max_tokens' : 'end_turn';
}

const usageOf = (usage: Answer['usage']): object => ({
  input_tokens: (usage?.promptTokens ?? 0) - (usage?.cachedTokens ?? 0),
  cache_read_input_tokens: usage?.cachedTokens ?? 0,
  cache_creation_input_tokens: 0,
  output_tokens: usage?.outputTokens ?? 0,
});

const errorTypes = ['invalid_request_error', 'authentication_error', 'permission_error', 'not_found_error'];

/** Clients of Messages know a few types only. */
function errorType(type: string, code: AnswerError['code']): string {
  if (errorTypes.includes(type) || type === 'rate_limit_error') return type;
  return typeof code === 'number' && code >= 400 && code < 500 ? 'invalid_request_error' : 'api_error';
}

type BlockType = 'thinking' | 'text' | 'tool_use';

/** A streamed chat as the events of Messages. */
export class MessagesStream implements AnswerStream {
  readonly #answer = new ChatAnswer();
  readonly #options: StreamOptions;
  #hasBegun = false;
  #hasEnded = false;
  #blocks = 0;
  #open: BlockType | null = null;
  #call = -1;

  constructor(options: StreamOptions) {
    this.#options = options;
  }

  get answer(): Answer {
    return this.#answer.answer;
  }

  event({ raw, data }: StreamEvent): string | null {
    if (data === null) return raw;
    if (this.#hasEnded) return null;
    this.#answer.event(data);
    const { error } = this.answer;
    if (error) return this.fail(error);
    if (data === '[DONE]') return this.#end();
    const delta = chatDelta(data);
    if (!delta) return null;
    let sent = this.#hasBegun ? '' : this.#begin();
    if (delta.reasoning !== '') {
      sent += this.#enter('thinking', { thinking: '', signature: '' });
      sent += this.#delta({ type: 'thinking_delta', thinking: delta.reasoning });
    }
    if (delta.text !== '') {
      sent += this.#enter('text', { text: '' });
      sent += this.#delta({ type: 'text_delta', text: delta.text });
    }
    for (const call of delta.calls) {
      if (call.index !== this.#call) {
        sent += this.#close();
        this.#call = call.index;
        sent += this.#enter('tool_use', { id: call.id || `call_${call.index}`, name: call.name, input: {} });
      }
      if (call.arguments !== '') sent += this.#delta({ type: 'input_json_delta', partial_json: call.arguments });
    }
    return sent === '' ? null : sent;
  }

  end(): string {
    return this.answer.isWhole ? this.#end() : this.fail(endedEarly);
  }

  fail({ message, type, code }: AnswerError): string {
    if (this.#hasEnded) return '';
    this.#hasEnded = true;
    return namedEvent('error', { error: { type: errorType(type, code), message } });
  }

  #begin(): string {
    this.#hasBegun = true;
    const { model } = this.answer;
    const message = {
      id: `msg_${this.#options.answerId}`,
      type: 'message',
      role: 'assistant',
      model: model ?? '',
      content: [],
      stop_reason: null,
      stop_sequence: null,
      usage: usageOf(null),
    };
    return namedEvent('message_start', { message });
  }

  #enter(type: BlockType, fields: object): string {
    if (this.#open === type && type !== 'tool_use') return '';
    const closed = this.#close();
    this.#open = type;
    return closed + namedEvent('content_block_start', { index: this.#blocks, content_block: { type, ...fields } });
  }

  #delta(delta: object): string {
    return namedEvent('content_block_delta', { index: this.#blocks, delta });
  }

  #close(): string {
    if (this.#open === null) return '';
    this.#open = null;
    return namedEvent('content_block_stop', { index: this.#blocks++ });
  }

  #end(): string {
    if (this.#hasEnded) return '';
    this.#hasEnded = true;
    const { answer } = this;
    const begun = this.#hasBegun ? '' : this.#begin();
    const delta = { stop_reason: stopReason(answer), stop_sequence: null };
    return (
      begun +
      this.#close() +
      comment(this.#options.closing(answer)) +
      namedEvent('message_delta', { delta, usage: usageOf(answer.usage) }) +
      namedEvent('message_stop', {})
    );
  }
}
