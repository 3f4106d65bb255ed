import type { ServerResponse } from 'node:http';
import { formatCount } from '../../base/format.ts';
import { randomId } from '../../base/hash.ts';
import type { ClientAnswer } from '../../core/sessions/memory/clientTurns.ts';
import type { AnswerStream, Format } from '../formats/format.ts';
import { chatMessageOf, type Asked, type Item } from '../formats/item.ts';
import type { SessionId } from '../../protocol/ids.ts';
import type { JsonObject } from '../formats/json.ts';
import { errorOf } from '../passing/failures.ts';
import { writeSoon } from '../passing/relay.ts';

/** The answer as a model server would write it, in chat completions. */
export class AnswerUnderWay {
  text = '';
  reasoning = '';
  /** Which has it; null: none is found or made yet. */
  session: SessionId | null = null;
  readonly #model: string | null;
  readonly #id = `chatcmpl-${randomId()}`;
  readonly #created: number;

  /** Headers of the answer besides. */
  readonly receipt: Readonly<Record<string, string>>;

  constructor({ model }: Asked, now: Date, receipt: Readonly<Record<string, string>>) {
    this.#model = model;
    this.receipt = receipt;
    this.#created = Math.floor(now.getTime() / 1000);
  }

  #head(object: string): object {
    return { id: this.#id, object, created: this.#created, model: this.#model };
  }

  chunk(delta: object, finishReason: string | null = null): object {
    return {
      ...this.#head('chat.completion.chunk'),
      choices: [{ index: 0, delta, finish_reason: finishReason }],
    };
  }

  usage(said: ClientAnswer): object {
    return { ...this.#head('chat.completion.chunk'), choices: [], ...usageOf(said) };
  }

  whole(item: Item, said: ClientAnswer): object {
    const { reasoning } = item;
    const message = { ...chatMessageOf(item), ...(reasoning !== undefined && { reasoning_content: reasoning }) };
    const choices = [{ index: 0, message, finish_reason: said.finishReason }];
    return { ...this.#head('chat.completion'), choices, ...usageOf(said) };
  }
}

/** What was sent to the model server, whatever the conversation's length; nothing where the server does not tell what it wrote. */
const usageOf = ({ usage: { promptTokens, cachedTokens, outputTokens } }: ClientAnswer): object =>
  outputTokens === null
    ? {}
    : {
        usage: {
          prompt_tokens: promptTokens,
          completion_tokens: outputTokens,
          total_tokens: promptTokens + outputTokens,
          ...(cachedTokens !== null && { prompt_tokens_details: { cached_tokens: cachedTokens } }),
        },
      };

/** Headers that say where it is stored. */
export const receiptOf = ({ session, receipt }: Pick<AnswerUnderWay, 'session' | 'receipt'>): Record<string, string> =>
  session === null ? {} : { 'x-cwm-recorded': 'yes', 'x-cwm-session': session, ...receipt };

export interface StreamedAnswer {
  /** A comment, which every client skips: the answer takes a while. */
  readonly hold: () => void;
  /** The same, unless something was sent since the last one. */
  readonly holdIfQuiet: () => void;
  readonly send: (chunk: object) => void;
  readonly end: (said: ClientAnswer) => void;
  /** Ends the stream with the error, in the client's form. @returns false, with nothing done, where no part of the answer was sent. */
  readonly fail: (thrown: unknown) => boolean;
}

interface StreamTo {
  readonly res: ServerResponse;
  /** As the client wrote it. */
  readonly body: JsonObject;
  readonly answerId: string;
  readonly answer: AnswerUnderWay;
  readonly isAnswering: () => void;
}

export function streamTo(format: Format, { res, body, answerId, answer, isAnswering }: StreamTo): StreamedAnswer {
  let closing: string | null = null;
  const stream: AnswerStream = format.chat.stream({ body, answerId, closing: () => closing });
  const begin = (): void => {
    if (res.headersSent) return;
    const headers = { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' };
    res.writeHead(200, { ...headers, ...receiptOf(answer) });
  };
  let isQuiet = true;
  const hold = (): void => {
    begin();
    writeSoon(res, ': cwm makes the prompt\n\n');
  };
  const pass = (data: string): void => {
    begin();
    isQuiet = false;
    isAnswering();
    const passed = stream.event({ raw: `data: ${data}\n\n`, data });
    if (passed !== null) writeSoon(res, passed);
  };
  const send = (chunk: object): void => pass(JSON.stringify(chunk));
  let isFirst = true;
  const sendNext = (chunk: object): void => {
    if (isFirst) send(answer.chunk({ role: 'assistant', content: '' }));
    isFirst = false;
    send(chunk);
  };
  return {
    hold,
    holdIfQuiet: () => {
      if (isQuiet && !res.destroyed) hold();
      isQuiet = true;
    },
    send: sendNext,
    end: (said) => {
      for (const [index, { id, name, arguments: given }] of said.calls.entries())
        sendNext(answer.chunk({ tool_calls: [{ index, id, type: 'function', function: { name, arguments: given } }] }));
      sendNext(answer.chunk({}, said.finishReason));
      send(answer.usage(said));
      const { promptTokens, cachedTokens } = said.usage;
      closing =
        cachedTokens === null
          ? null
          : `cwm reused ${formatCount(cachedTokens)} of ${formatCount(promptTokens)} prompt tokens`;
      pass('[DONE]');
      res.end(stream.end());
    },
    fail: (thrown) => {
      if (isFirst || res.destroyed) return false;
      res.end(stream.fail(errorOf(thrown)));
      return true;
    },
  };
}
