import { endedEarly, type AnswerError } from './answerError.ts';
import { ChatAnswer } from './chatAnswer.ts';
import { chatDelta } from './chatDelta.ts';
import type { StreamEvent } from './eventSplitter.ts';
import { comment, type AnswerStream, type StreamOptions } from './format.ts';
import type { Answer } from './item.ts';

type Status = 'in_progress' | 'completed' | 'incomplete' | 'failed';

/** An answer as Responses have it. */
export function responseOf(answer: Answer, { answerId, body }: StreamOptions, status: Status): object {
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

interface Open {
  readonly type: 'reasoning' | 'message' | 'call';
  readonly index: number;
  readonly id: string;
  readonly callId: string;
  readonly name: string;
  text: string;
}

/** A streamed chat as the events of Responses. */
export class ResponsesStream implements AnswerStream {
  readonly #answer = new ChatAnswer();
  readonly #options: StreamOptions;
  #sequence = 0;
  #items = 0;
  #open: Open | null = null;
  #call = -1;
  #hasBegun = false;
  #hasEnded = false;

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
    let sent = this.#begin();
    if (delta.reasoning !== '')
      sent += this.#enter('reasoning') + this.#add('response.reasoning_text.delta', delta.reasoning);
    if (delta.text !== '') sent += this.#enter('message') + this.#add('response.output_text.delta', delta.text);
    for (const call of delta.calls) {
      if (call.index !== this.#call) {
        sent += this.#close();
        this.#call = call.index;
        sent += this.#enter('call', call.id || `call_${call.index}`, call.name);
      }
      if (call.arguments !== '') sent += this.#add('response.function_call_arguments.delta', call.arguments);
    }
    return sent === '' ? null : sent;
  }

  end(): string {
    return this.answer.isWhole ? this.#end() : this.fail(endedEarly);
  }

  fail({ message, code }: AnswerError): string {
    if (this.#hasEnded) return '';
    this.#hasEnded = true;
    const begun = this.#begin() + this.#close('incomplete');
    const isOurs = typeof code === 'number' && code >= 400 && code < 500;
    const error = { code: isOurs ? 'invalid_prompt' : 'server_error', message };
    const response = { ...responseOf(this.answer, this.#options, 'failed'), error };
    return begun + this.#event('response.failed', { response });
  }

  #event(type: string, fields: object): string {
    return `event: ${type}\ndata: ${JSON.stringify({ type, sequence_number: this.#sequence++, ...fields })}\n\n`;
  }

  #begin(): string {
    if (this.#hasBegun) return '';
    this.#hasBegun = true;
    const response = responseOf(this.answer, this.#options, 'in_progress');
    return this.#event('response.created', { response }) + this.#event('response.in_progress', { response });
  }

  #enter(type: Open['type'], callId = '', name = ''): string {
    if (this.#open?.type === type && type !== 'call') return '';
    const closed = this.#close();
    const { answerId } = this.#options;
    const id = { reasoning: `rs_${answerId}`, message: `msg_${answerId}`, call: `fc_${this.#call}_${answerId}` }[type];
    this.#open = { type, index: this.#items++, id, callId, name, text: '' };
    const item = this.#item(this.#open, 'in_progress');
    const added = this.#event('response.output_item.added', { output_index: this.#open.index, item });
    if (type !== 'message') return closed + added;
    return (
      closed + added + this.#event('response.content_part.added', { ...this.#place(this.#open), part: textPart('') })
    );
  }

  #add(type: string, delta: string): string {
    const open = this.#open;
    if (!open) return '';
    open.text += delta;
    return this.#event(type, { ...this.#place(open), delta });
  }

  #place({ type, id, index }: Open): object {
    return { item_id: id, output_index: index, ...(type !== 'call' && { content_index: 0 }) };
  }

  #item({ type, id, callId, name, text }: Open, status: Status): object {
    const { answerId } = this.#options;
    if (type === 'reasoning') return reasoningItem(answerId, text);
    if (type === 'message') return messageItem(answerId, text, status);
    return callItem(id, { id: callId, name, arguments: text }, status);
  }

  #close(status: Status = 'completed'): string {
    const open = this.#open;
    if (!open) return '';
    this.#open = null;
    const { text } = open;
    const place = this.#place(open);
    const parts = {
      reasoning: () => this.#event('response.reasoning_text.done', { ...place, text }),
      message: () =>
        this.#event('response.output_text.done', { ...place, text }) +
        this.#event('response.content_part.done', { ...place, part: textPart(text) }),
      call: () => this.#event('response.function_call_arguments.done', { ...place, arguments: text }),
    };
    const done = parts[open.type]();
    return (
      done + this.#event('response.output_item.done', { output_index: open.index, item: this.#item(open, status) })
    );
  }

  #end(): string {
    if (this.#hasEnded) return '';
    this.#hasEnded = true;
    const { answer } = this;
    const begun = this.#begin() + this.#close() + comment(this.#options.closing(answer));
    const response = responseOf(answer, this.#options, 'completed');
    const type = answer.finishReason === 'length' ? 'response.incomplete' : 'response.completed';
    return begun + this.#event(type, { response });
  }
}
