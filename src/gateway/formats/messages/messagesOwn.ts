import { answerErrorOf, type AnswerError } from '../answerError.ts';
import { namedEvent } from '../chat/chatDelta.ts';
import type { Besides, Layout, OwnWire } from '../format.ts';
import type { Answer, AnswerUsage } from '../item.ts';
import { countOf, listOf, objectOf, parsed, textOf, type JsonObject } from '../json.ts';
import { errorType } from './messagesAnswer.ts';
import { blocksOf, itemsOf, systemOf } from './messagesContent.ts';
import { OwnStream, type OwnAnswer } from '../streams/ownStream.ts';
import { elementsIn, fieldsIn, overFields, type Span } from '../spans.ts';

const failed = ({ message, type, code }: AnswerError): string =>
  namedEvent('error', { error: { type: errorType(type, code), message } });

/** Anthropic's Messages, at servers that have them. */
export const ownMessages: OwnWire = {
  path: '/v1/messages',
  // What is new of it has no form in a chat, so that the chat is not even made.
  keepsBytes: true,
  saysMore: () => false,
  body: (said, besides) => overFields(said, besidesIn(said.body, besides)),
  stream: (options) => new OwnStream(new MessagesAnswer(), options, { ends: new Set(['message_stop']), failed }),
  whole(text) {
    const said = new MessagesAnswer();
    said.body(objectOf(parsed(text)) ?? {});
    return { answer: said.answer, passed: text };
  },
  layout: {
    name: 'messages',
    parts(text, body) {
      const fields = fieldsIn(text);
      const list = fields?.get('messages');
      const spans = list && elementsIn(text, list.start);
      const messages = listOf(body['messages']).map(comparable);
      if (!spans || spans.length !== messages.length) return null;
      const system = fields?.get('system');
      const all = messages.map((message, at) => ({
        spans: [spans[at]!],
        values: [message],
        items: itemsOf(objectOf(message) ?? {}),
      }));
      const lead = all.findIndex(({ items }) => items.some(({ role }) => role !== 'system'));
      const leading = all.slice(0, Math.max(0, lead));
      return {
        tools: fields?.get('tools') ?? null,
        lead: [
          ...(system && systemOf(body) !== '' ? [{ spans: [system], values: [{ content: body['system'] }] }] : []),
          ...(leading.length > 0
            ? [{ spans: leading.flatMap((each) => each.spans), values: leading.flatMap((each) => each.values) }]
            : []),
        ],
        said: all.slice(leading.length),
      };
    },
    argumentsIn(raw) {
      const content = fieldsIn(raw)?.get('content');
      const blocks = (content && elementsIn(raw, content.start)) ?? [];
      const given = blocksOf(objectOf(parsed(raw))?.['content']);
      return blocks.flatMap(({ start }, at): (Span | null)[] =>
        given[at]?.['type'] === 'tool_use' ? [fieldsIn(raw, start)?.get('input') ?? null] : [],
      );
    },
    systemOf: ([raw = '', ...more]) =>
      [
        parsed(raw),
        ...more.flatMap((each) => listOf(parsed(`[${each}]`)).map((message) => objectOf(message)?.['content'])),
      ]
        .map((content) => systemOf({ system: content }))
        .join('\n\n'),
    leadOf: (system) => [{ raw: JSON.stringify(system), value: { content: system } }],
  } satisfies Layout,
};

const besidesIn = (body: JsonObject, besides: Besides | undefined): Readonly<Record<string, unknown>> =>
  besides
    ? {
        ...(besides.salt !== null && body['cache_salt'] === undefined && { cache_salt: besides.salt }),
        ...(besides.slot !== null && { id_slot: besides.slot }),
      }
    : {};

/** Markers for caches move from message to message, also inside the results of tools. */
function comparable(message: unknown): unknown {
  const given = objectOf(message);
  const content = given?.['content'];
  if (!Array.isArray(content)) return message;
  return {
    ...given,
    content: content.map((block) => {
      const inside = objectOf(block)?.['content'];
      if (!Array.isArray(inside)) return block as unknown;
      return { ...objectOf(block), content: inside.map(withoutMarker) };
    }),
  };
}

function withoutMarker(part: unknown): unknown {
  const { cache_control: _marker, ...rest } = objectOf(part) ?? {};
  return objectOf(part) ? rest : part;
}

const finishReasons: Readonly<Record<string, string>> = {
  end_turn: 'stop',
  stop_sequence: 'stop',
  max_tokens: 'length',
  model_context_window_exceeded: 'length',
  tool_use: 'tool_calls',
};

/** Puts an answer together, from the events of a stream or from one whole body. */
class MessagesAnswer implements OwnAnswer {
  readonly #blocks = new Map<number, JsonObject>();
  /** What the model wrote as the input of a tool, before it is read. */
  readonly #inputs = new Map<number, string>();
  #usage: JsonObject = {};
  #model: string | null = null;
  #stopReason: string | null = null;
  #isDone = false;
  #error: AnswerError | null = null;

  event(said: JsonObject): void {
    const index = countOf(said['index']) ?? 0;
    switch (said['type']) {
      case 'message_start':
        return this.#head(objectOf(said['message']) ?? {});
      case 'content_block_start':
        return void this.#blocks.set(index, objectOf(said['content_block']) ?? {});
      case 'content_block_delta':
        return this.#add(index, objectOf(said['delta']) ?? {});
      case 'message_delta':
        this.#stopReason = textOf(objectOf(said['delta'])?.['stop_reason']) || this.#stopReason;
        return this.#count(said['usage']);
      case 'message_stop':
        this.#isDone = true;
        return undefined;
      default:
        if (said['type'] === 'error' || said['type'] === undefined) this.#error ??= answerErrorOf(said);
    }
  }

  body(message: JsonObject): void {
    this.#error = message['type'] === 'error' ? answerErrorOf(message) : null;
    if (!Array.isArray(message['content'])) return;
    this.#head(message);
    for (const [at, block] of listOf(message['content']).entries()) this.#blocks.set(at, objectOf(block) ?? {});
    this.#isDone = true;
  }

  #head(message: JsonObject): void {
    this.#model = textOf(message['model']) || null;
    this.#stopReason = textOf(message['stop_reason']) || null;
    this.#count(message['usage']);
  }

  /** Servers tell some figures at the beginning, some at the end, and some twice. */
  #count(usage: unknown): void {
    this.#usage = { ...this.#usage, ...objectOf(usage) };
  }

  #add(index: number, delta: JsonObject): void {
    const block = this.#blocks.get(index) ?? { type: 'text', text: '' };
    if (delta['type'] === 'input_json_delta')
      this.#inputs.set(index, (this.#inputs.get(index) ?? '') + textOf(delta['partial_json']));
    for (const field of ['text', 'thinking', 'signature'])
      if (delta['type'] === `${field}_delta`)
        this.#blocks.set(index, { ...block, [field]: textOf(block[field]) + textOf(delta[field]) });
  }

  get answer(): Answer {
    const blocks = [...this.#blocks]
      .toSorted(([one], [other]) => one - other)
      .map(([at, block]) => [at, withInput(block, this.#inputs.get(at))] as const);
    const [item = { role: 'assistant' as const, text: '' }] = itemsOf({
      role: 'assistant',
      content: blocks.map(([, block]) => block),
    });
    const written = blocks
      .filter(([, { type }]) => type === 'tool_use')
      .map(([at, block]) => this.#inputs.get(at) || JSON.stringify(block['input'] ?? {}));
    const { calls, text, reasoning } = item;
    return {
      item: {
        ...item,
        text: text.toWellFormed(),
        ...(reasoning !== undefined && { reasoning: reasoning.toWellFormed() }),
        ...(calls && { calls: calls.map((call, at) => ({ ...call, arguments: written[at] ?? call.arguments })) }),
      },
      isWhole: this.#error === null && (this.#isDone || this.#stopReason !== null),
      error: this.#error,
      finishReason: this.#stopReason === null ? null : (finishReasons[this.#stopReason] ?? this.#stopReason),
      usage: usageOf(this.#usage),
      ids: null,
      model: this.#model,
    };
  }
}

/** Tools of the server's own have inputs, too, which the client says back with them. */
function withInput(block: JsonObject, written: string | undefined): JsonObject {
  const input = written === undefined ? null : parsed(written);
  return input === null ? block : { ...block, input };
}

/** What was reused is no part of Anthropic's `input_tokens`. */
function usageOf(usage: JsonObject): AnswerUsage | null {
  const computed = countOf(usage['input_tokens']);
  if (computed === null) return null;
  const cachedTokens = countOf(usage['cache_read_input_tokens']);
  return {
    promptTokens: computed + (cachedTokens ?? 0) + (countOf(usage['cache_creation_input_tokens']) ?? 0),
    cachedTokens,
    outputTokens: countOf(usage['output_tokens']) ?? 0,
  };
}
