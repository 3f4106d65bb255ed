import { answerErrorOf, type AnswerError } from '../answerError.ts';
import { usageOf } from '../chat/chatAnswer.ts';
import { chatItem } from '../chat/chatCompletions.ts';
import { namedEvent } from '../chat/chatDelta.ts';
import { contentOf } from '../content.ts';
import type { Besides, Layout, OwnWire, Part, Written } from '../format.ts';
import type { Answer, Item } from '../item.ts';
import { countOf, listOf, objectOf, parsed, textOf, type JsonObject } from '../json.ts';
import { OwnStream, type OwnAnswer } from '../streams/ownStream.ts';
import { itemsIn, joined, placedItems, reasoningOf } from './responsesRequest.ts';
import { changedFields, elementsIn, fieldsIn, spliced } from '../spans.ts';

const ends = new Set(['response.completed', 'response.incomplete', 'response.failed']);

/** OpenAI's Responses, at servers that have them. Such a server is told to keep nothing: it is always sent the whole conversation. */
export const ownResponses: Omit<OwnWire, 'before'> = {
  path: '/v1/responses',
  keepsBytes: true,
  saysMore,
  body: (written, besides) =>
    changedFields(written.text, ['previous_response_id', 'background'], {
      ...besidesIn(written.body, besides),
      store: false,
      ...inputIn(written),
    }),
  stream(options) {
    const said = new ResponsesAnswer();
    const failed = ({ message, code }: AnswerError): string => {
      const error = { code: isRefusal(code) ? 'invalid_prompt' : 'server_error', message };
      return namedEvent('response.failed', { response: said.failed(options.answerId, error) });
    };
    const passed = asksMessages(options.body) ? (raw: string): string => raw : withoutMessages;
    return new OwnStream(said, options, { ends, passed, failed });
  },
  whole(text, { body }) {
    const said = new ResponsesAnswer();
    said.response(objectOf(parsed(text)) ?? {});
    return { answer: said.answer, passed: asksMessages(body) ? text : withoutMessages(text) };
  },
  layout: {
    name: 'responses',
    parts(text, body) {
      const fields = fieldsIn(text);
      const list = fields?.get('input');
      const spans = list && elementsIn(text, list.start);
      const elements = itemsIn(body['input']);
      if (!spans || spans.length !== elements.length) return null;
      const all = placedItems(elements).map(({ item, from, to }): Part & { readonly items: readonly Item[] } => ({
        spans: spans.slice(from, to),
        values: elements.slice(from, to).map(comparable),
        items: [item],
      }));
      const lead = Math.max(
        0,
        all.findIndex(({ items }) => items.some(({ role }) => role !== 'system')),
      );
      const instructions = textOf(body['instructions']) === '' ? undefined : fields?.get('instructions');
      const leading = all.slice(0, lead);
      return {
        tools: fields?.get('tools') ?? null,
        lead: [
          ...(instructions ? [{ spans: [instructions], values: [body['instructions']] }] : []),
          ...(lead > 0
            ? [{ spans: leading.flatMap((each) => each.spans), values: leading.flatMap((each) => each.values) }]
            : []),
        ],
        said: all.slice(lead),
      };
    },
    argumentsIn(raw) {
      const list = `[${raw}]`;
      const elements = listOf(parsed(list)).map((element) => objectOf(element)?.['type']);
      return (elementsIn(list) ?? []).flatMap(({ start }, at) => {
        if (elements[at] !== 'function_call') return elements[at] === 'custom_tool_call' ? [null] : [];
        const span = fieldsIn(list, start)?.get('arguments');
        return [span ? { start: span.start - 1, end: span.end - 1 } : null];
      });
    },
    systemOf: (raws) =>
      raws
        .flatMap((raw) => listOf(parsed(`[${raw}]`)))
        .map((part) => (typeof part === 'string' ? part : contentOf(objectOf(part)?.['content']).text))
        .join('\n\n'),
    leadOf: (system) => [{ raw: JSON.stringify(system), value: system }],
  } satisfies Layout,
};

const isRefusal = (code: AnswerError['code']): boolean => typeof code === 'number' && code >= 400 && code < 500;

/** vLLM has tools that are no functions, and cuts a prompt that is too long; llama-server leaves both out itself. */
function saysMore(body: JsonObject, dialect: Besides['dialect']): boolean {
  if (dialect !== 'vllm') return false;
  const tools = listOf(body['tools']).map((tool) => objectOf(tool) ?? {});
  const isTaken = ({ type, format }: JsonObject): boolean =>
    type === 'namespace' || (type === 'custom' && objectOf(format)?.['type'] !== 'grammar');
  const isRefused = ({ type, format }: JsonObject): boolean =>
    type === 'custom' && objectOf(format)?.['type'] === 'grammar';
  if (tools.some(isTaken) && !tools.some(isRefused)) return true;
  return body['truncation'] === 'auto' || listOf(body['include']).includes('message.output_text.logprobs');
}

/** vLLM tells the ids of a prompt and of its answer as "messages". */
function besidesIn(body: JsonObject, besides: Besides | undefined): Readonly<Record<string, unknown>> {
  if (!besides) return {};
  const { dialect, salt, reusesNothing, slot } = besides;
  return {
    ...(salt !== null && body['cache_salt'] === undefined && { cache_salt: salt }),
    ...(dialect === 'vllm' && body['enable_response_messages'] === undefined && { enable_response_messages: true }),
    ...(reusesNothing && body['cache_prompt'] === undefined && { cache_prompt: false }),
    ...(slot !== null && { id_slot: slot }),
  };
}

const inputIn = ({ body, before, hasNames }: Written): { readonly input?: readonly object[] } =>
  before || hasNames ? { input: [...(before?.own() ?? []), ...itemsIn(body['input'])] } : {};

/** Messages of a chat as elements of an input. */
export const inputOf = (messages: readonly object[]): readonly object[] => messages.flatMap(elementsOf);

function elementsOf(message: object): object[] {
  const { role, text, calls = [], callId } = chatItem(message);
  if (role === 'tool') return [{ type: 'function_call_output', call_id: callId ?? '', output: text }];
  const content = objectOf(message)?.['content'];
  const parts = typeof content === 'string' || role === 'assistant' ? text : listOf(content).map(partOf);
  return [
    ...(role === 'assistant' && text === '' && calls.length > 0 ? [] : [{ type: 'message', role, content: parts }]),
    ...calls.map(({ id, name, arguments: given }) => ({ type: 'function_call', call_id: id, name, arguments: given })),
  ];
}

function partOf(part: unknown): unknown {
  const given = objectOf(part) ?? {};
  if (given['type'] === 'text') return { type: 'input_text', text: given['text'] };
  if (given['type'] === 'file') return { type: 'input_file', ...objectOf(given['file']) };
  const url = objectOf(given['image_url'])?.['url'];
  return given['type'] === 'image_url' ? { type: 'input_image', image_url: url, detail: 'auto' } : part;
}

/** An element without what cannot reach the model, and with its call where chats have theirs. */
function comparable(element: JsonObject): unknown {
  const { id: _id, status: _status, arguments: given, content, ...said } = element;
  return {
    ...said,
    ...(content !== undefined && { content: Array.isArray(content) ? content.map(comparablePart) : content }),
    ...(given !== undefined && { tool_calls: [{ function: { arguments: given } }] }),
  };
}

function comparablePart(part: unknown): unknown {
  const { type, annotations, ...said } = objectOf(part) ?? {};
  if ((type === 'input_text' || type === 'output_text') && listOf(annotations).length === 0)
    return { type: 'text', ...said };
  return part;
}

const asksMessages = (body: JsonObject): boolean => body['enable_response_messages'] === true;

/** What only the gateway asked for is nothing again, as the server writes it without the question. */
function withoutMessages(raw: string): string {
  if (!/"(in|out)put_messages":\s*\[/.test(raw)) return raw;
  const at = raw.indexOf('{');
  const response = fieldsIn(raw, at)?.get('response');
  const fields = fieldsIn(raw, response?.start ?? at);
  const spans = ['input_messages', 'output_messages'].flatMap((field) => fields?.get(field) ?? []);
  return spliced(
    raw,
    spans.toSorted((one, other) => one.start - other.start).map((span) => ({ ...span, by: 'null' })),
  );
}

/** What a stream said of one item. */
interface Growing {
  item: JsonObject;
  text: string;
  isDone: boolean;
}

/** Puts an answer together, from the events of a stream or from one whole body. */
class ResponsesAnswer implements OwnAnswer {
  /** By their ids, or their places where they have none, in order. */
  readonly #items = new Map<string, Growing>();
  #response: JsonObject = {};
  #isDone = false;
  #error: AnswerError | null = null;

  event(said: JsonObject): void {
    const type = textOf(said['type']);
    const response = objectOf(said['response']);
    if (response) this.#head(response, ends.has(type));
    else if (type === 'error' || type === '') this.#error ??= answerErrorOf({ error: said['error'] ?? said });
    else if (type === 'response.output_item.added' || type === 'response.output_item.done')
      this.#put(said, type.endsWith('done'));
    else if (type.endsWith('.delta') && typeof said['delta'] === 'string') this.#grow(said, said['delta']);
  }

  /** The body of an answer that was not streamed. */
  response(response: JsonObject): void {
    if (Array.isArray(response['output'])) this.#head(response, response['status'] !== 'failed');
    else this.#error = answerErrorOf(response);
  }

  #head(response: JsonObject, ends: boolean): void {
    this.#response = { ...this.#response, ...response };
    if (!ends) return;
    const output = listOf(response['output']).map((item) => objectOf(item) ?? {});
    if (output.length > 0) {
      this.#items.clear();
      for (const [at, item] of output.entries()) this.#items.set(String(at), { item, text: '', isDone: true });
    }
    const error = answerErrorOf(response);
    if (error) this.#error ??= error;
    else this.#isDone = true;
  }

  #keyOf(said: JsonObject): string {
    const item = objectOf(said['item']);
    return textOf(said['item_id']) || textOf(item?.['id']) || `at ${countOf(said['output_index']) ?? 0}`;
  }

  #put(said: JsonObject, isDone: boolean): void {
    const key = this.#keyOf(said);
    const text = this.#items.get(key)?.text ?? '';
    this.#items.set(key, { item: objectOf(said['item']) ?? {}, text, isDone });
  }

  #grow(said: JsonObject, delta: string): void {
    const key = this.#keyOf(said);
    const growing = this.#items.get(key) ?? { item: { type: kindOf(textOf(said['type'])) }, text: '', isDone: false };
    this.#items.set(key, growing);
    growing.text += delta;
  }

  /** The response as it came so far, and why it is no more. */
  failed(answerId: string, error: object): object {
    const { output } = this.answer.own ?? {};
    const head = { id: `resp_${answerId}`, object: 'response', ...this.#response };
    return { ...head, status: 'failed', output: (output ?? []).map(parsed), error };
  }

  get answer(): Answer {
    const output = [...this.#items.values()].map(itemSoFar);
    const usage = usageOf(this.#response['usage']);
    const reason = textOf(objectOf(this.#response['incomplete_details'])?.['reason']);
    const item = itemOf(output);
    const id = textOf(this.#response['id']);
    return {
      item,
      isWhole: this.#error === null && this.#isDone,
      error: this.#error,
      finishReason: !this.#isDone ? null : finishReasonOf(reason, item, this.#response['status']),
      usage,
      ids: idsOf(this.#response),
      model: textOf(this.#response['model']) || null,
      own: { id: id === '' ? null : id.replace(/^resp_/, ''), output: output.map((each) => JSON.stringify(each)) },
    };
  }
}

function kindOf(delta: string): string {
  if (delta.includes('reasoning')) return 'reasoning';
  if (delta.includes('function_call')) return 'function_call';
  return delta.includes('custom_tool_call') ? 'custom_tool_call' : 'message';
}

/** An item that was not told whole has what came of it. */
function itemSoFar({ item, text, isDone }: Growing): JsonObject {
  if (isDone || text === '') return item;
  switch (item['type']) {
    case 'reasoning':
      return { ...item, content: [{ type: 'reasoning_text', text }] };
    case 'function_call':
      return { ...item, arguments: text };
    case 'custom_tool_call':
      return { ...item, input: text };
    default:
      return { ...item, role: 'assistant', content: [{ type: 'output_text', text, annotations: [] }] };
  }
}

function itemOf(output: readonly JsonObject[]): Item {
  const items = placedItems(output).map(({ item }) => item);
  const { text, ...item } = items.reduce(joined, { role: 'assistant', text: '' });
  // Also where nothing came behind it.
  const reasoning = output
    .filter(({ type }) => type === 'reasoning')
    .map(reasoningOf)
    .join('');
  return { ...item, text: text.toWellFormed(), ...(reasoning !== '' && { reasoning: reasoning.toWellFormed() }) };
}

function finishReasonOf(reason: string, { calls }: Item, status: unknown): string {
  if (status === 'incomplete') return reason === 'max_output_tokens' || reason === '' ? 'length' : reason;
  return calls ? 'tool_calls' : 'stop';
}

function idsOf(response: JsonObject): Answer['ids'] {
  const idsIn = (messages: unknown): readonly number[] =>
    listOf(messages).flatMap((message) => listOf(objectOf(message)?.['tokens']) as number[]);
  const prompt = idsIn(response['input_messages']);
  return prompt.length > 0 && listOf(response['input_messages']).length === 1
    ? { prompt, output: idsIn(response['output_messages']) }
    : null;
}
