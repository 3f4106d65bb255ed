import type { AnswerError } from '../answerError.ts';
import { BlockStream, type BlockKind, type CallHead } from '../streams/blockStream.ts';
import { namedEvent } from '../chat/chatDelta.ts';
import { comment } from '../format.ts';
import type { Answer } from '../item.ts';
import { parsed } from '../json.ts';

/** An answer as Messages have it. @param own what its `usage` has besides. */
export function messageOf({ item, model, ...answer }: Answer, answerId: string, own: object): object {
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
    stop_sequence: answer.stopSequence ?? null,
    usage: { ...usageOf(answer.usage), ...own },
  };
}

function stopReason({ item, finishReason, stopSequence }: Answer): string {
  if (item.calls) return 'tool_use';
  if (stopSequence !== undefined) return 'stop_sequence';
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
export function errorType(type: string, code: AnswerError['code']): string {
  if (errorTypes.includes(type) || type === 'rate_limit_error') return type;
  return typeof code === 'number' && code >= 400 && code < 500 ? 'invalid_request_error' : 'api_error';
}

const startOf = (kind: BlockKind, call: CallHead | undefined): object => {
  if (kind === 'reasoning') return { type: 'thinking', thinking: '', signature: '' };
  if (kind === 'text') return { type: 'text', text: '' };
  return { type: 'tool_use', id: call?.id ?? '', name: call?.name ?? '', input: {} };
};

const deltaOf = (kind: BlockKind, text: string): object => {
  if (kind === 'reasoning') return { type: 'thinking_delta', thinking: text };
  if (kind === 'text') return { type: 'text_delta', text };
  return { type: 'input_json_delta', partial_json: text };
};

/** A streamed chat as the events of Messages. */
export class MessagesStream extends BlockStream {
  #blocks = 0;

  protected begun(): string {
    const message = {
      id: `msg_${this.options.answerId}`,
      type: 'message',
      role: 'assistant',
      model: this.answer.model ?? '',
      content: [],
      stop_reason: null,
      stop_sequence: null,
      usage: usageOf(null),
    };
    return namedEvent('message_start', { message });
  }

  protected opened(kind: BlockKind, call?: CallHead): string {
    return namedEvent('content_block_start', { index: this.#blocks, content_block: startOf(kind, call) });
  }

  protected added(kind: BlockKind, text: string): string {
    return namedEvent('content_block_delta', { index: this.#blocks, delta: deltaOf(kind, text) });
  }

  protected closed(): string {
    return namedEvent('content_block_stop', { index: this.#blocks++ });
  }

  protected ended(answer: Answer): string {
    const delta = { stop_reason: stopReason(answer), stop_sequence: answer.stopSequence ?? null };
    return (
      comment(this.options.closing(answer)) +
      namedEvent('message_delta', { delta, usage: usageOf(answer.usage) }) +
      namedEvent('message_stop', {})
    );
  }

  protected failed({ message, type, code }: AnswerError): string {
    return namedEvent('error', { error: { type: errorType(type, code), message } });
  }
}
