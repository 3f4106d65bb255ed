import { ChatAnswer } from './chatAnswer.ts';
import { chatItem, readChatRequest } from './chatCompletions.ts';
import { endedEarly, type AnswerError } from '../answerError.ts';
import type { StreamEvent } from '../streams/eventSplitter.ts';
import {
  comment,
  ownUsage,
  type AnswerStream,
  type Besides,
  type Format,
  type Layout,
  type StreamOptions,
} from '../format.ts';
import { splitSystem, type Answer } from '../item.ts';
import { listOf, objectOf, parsed, type JsonObject } from '../json.ts';
import { elementsIn, fieldsIn, spliced, overFields, withFields } from '../spans.ts';

export const chatPath = '/v1/chat/completions';

export const chatLayout: Layout = {
  name: 'chat',
  parts(text, body) {
    const fields = fieldsIn(text);
    const list = fields?.get('messages');
    const spans = list && elementsIn(text, list.start);
    const messages = listOf(body['messages']);
    if (!spans || spans.length !== messages.length || spans.length === 0) return null;
    const items = messages.map(chatItem);
    const lead = Math.max(
      0,
      items.findIndex(({ role }) => role !== 'system'),
    );
    return {
      tools: fields?.get('tools') ?? null,
      lead: lead === 0 ? [] : [{ spans: spans.slice(0, lead), values: messages.slice(0, lead) }],
      said: spans
        .slice(lead)
        .map((span, at) => ({ spans: [span], values: [messages[lead + at]], items: [items[lead + at]!] })),
    };
  },
  argumentsIn(raw) {
    const calls = fieldsIn(raw)?.get('tool_calls');
    return ((calls && elementsIn(raw, calls.start)) ?? []).map(({ start }) => {
      const called = fieldsIn(raw, start)?.get('function');
      const span = called && fieldsIn(raw, called.start)?.get('arguments');
      // Some clients send an object there, which is for the server to spell.
      return span && raw[span.start] === '"' ? span : null;
    });
  },
  systemOf: ([raw = '']) => splitSystem(listOf(parsed(`[${raw}]`)).map(chatItem)).system,
  leadOf(system) {
    const value = { role: 'system', content: system };
    return [{ raw: JSON.stringify(value), value }];
  },
};

/**
 * What the gateway asks for besides: that no other project's KV is met, and the evidence of reuse. A server without salts is asked to reuse
 * nothing where what it has may be another project's.
 */
export function besidesInChat(body: JsonObject, besides: Besides | undefined): Readonly<Record<string, unknown>> {
  if (!besides) return {};
  const { dialect, salt, reusesNothing, slot } = besides;
  return {
    ...(salt !== null && body['cache_salt'] === undefined && { cache_salt: salt }),
    ...(dialect === 'vllm' && body['return_token_ids'] === undefined && { return_token_ids: true }),
    ...(reusesNothing && body['cache_prompt'] === undefined && { cache_prompt: false }),
    ...(slot !== null && { id_slot: slot }),
    ...(body['stream'] === true && body['stream_options'] === undefined && { stream_options: { include_usage: true } }),
  };
}

/** Chat completions: what the client wrote and what the server answers pass as they are. */
export const chatFormat: Format = {
  read: readChatRequest,
  chat: {
    path: chatPath,
    layout: chatLayout,
    keepsBytes: true,
    body: (said, besides) => overFields(said, besidesInChat(said.body, besides)),
    stream: (options) => new ChatStream(options),
    whole(text, options) {
      const answer = wholeChat(text);
      return { answer, passed: withUsage(withoutIds(text), ownUsage(answer, options)) };
    },
  },
};

/** The body of a chat's answer that was not streamed. */
export function wholeChat(text: string): Answer {
  const said = new ChatAnswer();
  said.body(text);
  return said.answer;
}

const lists = '(?:prompt_)?token_ids":(?:\\[[\\d,\\s]*\\]|null)';
const behindAnother = new RegExp(`,\\s*"${lists}`, 'g');
const first = new RegExp(`"${lists},?`, 'g');

/**
 * An event of vLLM's dialect without the token ids that only the gateway asked for. The rest stays as the server wrote it. The text of an
 * answer never matches, since its quotes are escaped.
 */
export const withoutIds = (raw: string): string =>
  raw.includes('token_ids":') ? raw.replaceAll(behindAnother, '').replaceAll(first, '') : raw;

/** The rest stays as the server wrote it. */
function withUsage(text: string, own: ReturnType<typeof ownUsage>): string {
  const span = own.cwm && fieldsIn(text)?.get('usage');
  if (!span || text[span.start] !== '{') return text;
  return spliced(text, [{ ...span, by: withFields(text.slice(span.start, span.end), own) }]);
}

const showsUsage = (body: JsonObject): boolean => objectOf(body['stream_options'])?.['include_usage'] === true;

/** The client gets what it asked for, and nothing that only the gateway did. */
class ChatStream implements AnswerStream {
  readonly #answer = new ChatAnswer();
  readonly #options: StreamOptions;
  readonly #showsUsage: boolean;

  constructor(options: StreamOptions) {
    this.#options = options;
    this.#showsUsage = showsUsage(options.body);
  }

  get answer(): Answer {
    return this.#answer.answer;
  }

  event({ raw, data }: StreamEvent): string | null {
    if (data === null) return raw;
    this.#answer.event(data);
    if (data === '[DONE]') return comment(this.#options.closing(this.answer)) + raw;
    if (!(/"choices":\s*\[\]/.test(data) && data.includes('"usage"'))) return withoutIds(raw);
    if (!this.#showsUsage) return null;
    return withoutIds(raw.replace(data, () => withUsage(data, ownUsage(this.answer, this.#options))));
  }

  end(): string {
    return this.answer.isWhole || this.answer.error ? '' : this.fail(endedEarly);
  }

  fail({ message, type, code }: AnswerError): string {
    return `data: ${JSON.stringify({ error: { message, type, param: null, code } })}\n\n`;
  }
}
