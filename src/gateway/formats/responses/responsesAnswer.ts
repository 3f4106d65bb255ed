import type { AnswerError } from '../answerError.ts';
import { BlockStream, type BlockKind, type CallHead } from '../streams/blockStream.ts';
import { namedEvent } from '../chat/chatDelta.ts';
import { comment, type StreamOptions } from '../format.ts';
import type { Answer } from '../item.ts';

type Status = 'in_progress' | 'completed' | 'incomplete' | 'failed';

/** An answer as Responses have it. @param own what its `usage` has besides. */
export function responseOf(
  answer: Answer,
  { answerId, body }: StreamOptions,
  status: Status,
  own: object = {},
): object {
  const { usage, finishReason } = answer;
  const isCut = status === 'completed' && finishReason === 'length';
  return {
    id: `resp_${answerId}`,
    object: 'response',
    created_at: Math.floor(Date.now() / 1000),
    status: isCut ? 'incomplete' : status,
    error: null,
    incomplete_details: isCut ? { reason: 'max_output_tokens' } : null,
    instructions: body['instructions'] ?? null,
    model: answer.model ?? body['model'] ?? '',
    output: status === 'in_progress' ? [] : outputOf(answer, answerId),
    parallel_tool_calls: body['parallel_tool_calls'] ?? true,
    previous_response_id: body['previous_response_id'] ?? null,
    store: body['store'] ?? true,
    temperature: body['temperature'] ?? null,
    tool_choice: body['tool_choice'] ?? 'auto',
    tools: body['tools'] ?? [],
    top_p: body['top_p'] ?? null,
    metadata: body['metadata'] ?? {},
    usage: usage && {
      input_tokens: usage.promptTokens,
      input_tokens_details: { cached_tokens: usage.cachedTokens ?? 0 },
      output_tokens: usage.outputTokens,
      output_tokens_details: { reasoning_tokens: 0 },
      total_tokens: usage.promptTokens + usage.outputTokens,
      ...own,
    },
  };
}

function outputOf({ item }: Answer, answerId: string): object[] {
  const { text, reasoning, calls = [] } = item;
  return [
    ...(reasoning === undefined ? [] : [reasoningItem(answerId, reasoning)]),
    ...(text === '' && calls.length > 0 ? [] : [messageItem(answerId, text, 'completed')]),
    ...calls.map((call, at) => callItem(`fc_${at}_${answerId}`, call, 'completed')),
  ];
}

const reasoningItem = (answerId: string, text: string): object => ({
  type: 'reasoning',
  id: `rs_${answerId}`,
  summary: [],
  content: [{ type: 'reasoning_text', text }],
});

const textPart = (text: string): object => ({ type: 'output_text', text, annotations: [] });

const messageItem = (answerId: string, text: string, status: Status): object => ({
  type: 'message',
  id: `msg_${answerId}`,
  role: 'assistant',
  status,
  content: status === 'in_progress' ? [] : [textPart(text)],
});

const callItem = (
  id: string,
  call: { readonly id: string; readonly name: string; readonly arguments: string },
  status: Status,
): object => ({ type: 'function_call', id, call_id: call.id, name: call.name, arguments: call.arguments, status });

/** The block that grows. */
interface Open {
  readonly kind: BlockKind;
  readonly index: number;
  readonly id: string;
  readonly call: CallHead | undefined;
  text: string;
}

const deltaNames = {
  reasoning: 'response.reasoning_text.delta',
  text: 'response.output_text.delta',
  call: 'response.function_call_arguments.delta',
} as const;

/** A streamed chat as the events of Responses. */
export class ResponsesStream extends BlockStream {
  #sequence = 0;
  #items = 0;
  #open: Open | null = null;

  protected begun(): string {
    const response = responseOf(this.answer, this.options, 'in_progress');
    return this.#event('response.created', { response }) + this.#event('response.in_progress', { response });
  }

  protected opened(kind: BlockKind, call?: CallHead): string {
    const { answerId } = this.options;
    const id = { reasoning: `rs_${answerId}`, text: `msg_${answerId}`, call: `fc_${call?.index}_${answerId}` }[kind];
    const open: Open = { kind, index: this.#items++, id, call, text: '' };
    this.#open = open;
    const item = this.#item(open, 'in_progress');
    const added = this.#event('response.output_item.added', { output_index: open.index, item });
    if (kind !== 'text') return added;
    return added + this.#event('response.content_part.added', { ...this.#place(open), part: textPart('') });
  }

  protected added(kind: BlockKind, delta: string): string {
    const open = this.#open;
    if (!open) return '';
    open.text += delta;
    return this.#event(deltaNames[kind], { ...this.#place(open), delta });
  }

  protected closed(kind: BlockKind, isWhole: boolean): string {
    const open = this.#open;
    if (!open) return '';
    this.#open = null;
    const { text } = open;
    const place = this.#place(open);
    const parts = {
      reasoning: () => this.#event('response.reasoning_text.done', { ...place, text }),
      text: () =>
        this.#event('response.output_text.done', { ...place, text }) +
        this.#event('response.content_part.done', { ...place, part: textPart(text) }),
      call: () => this.#event('response.function_call_arguments.done', { ...place, arguments: text }),
    };
    const done = parts[kind]();
    const item = this.#item(open, isWhole ? 'completed' : 'incomplete');
    return done + this.#event('response.output_item.done', { output_index: open.index, item });
  }

  protected ended(answer: Answer): string {
    const response = responseOf(answer, this.options, 'completed');
    const type = answer.finishReason === 'length' ? 'response.incomplete' : 'response.completed';
    return comment(this.options.closing(answer)) + this.#event(type, { response });
  }

  protected failed({ message, code }: AnswerError): string {
    const isOurs = typeof code === 'number' && code >= 400 && code < 500;
    const error = { code: isOurs ? 'invalid_prompt' : 'server_error', message };
    return this.#event('response.failed', {
      response: { ...responseOf(this.answer, this.options, 'failed'), error },
    });
  }

  #event(type: string, fields: object): string {
    return namedEvent(type, { sequence_number: this.#sequence++, ...fields });
  }

  #place({ kind, id, index }: Open): object {
    return { item_id: id, output_index: index, ...(kind !== 'call' && { content_index: 0 }) };
  }

  #item({ kind, id, call, text }: Open, status: Status): object {
    const { answerId } = this.options;
    if (kind === 'reasoning') return reasoningItem(answerId, text);
    if (kind === 'text') return messageItem(answerId, text, status);
    return callItem(id, { id: call?.id ?? '', name: call?.name ?? '', arguments: text }, status);
  }
}
