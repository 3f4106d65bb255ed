import type { StreamEvent } from './eventSplitter.ts';
import type { AnswerError } from './answerError.ts';
import type { Answer, Asked } from './item.ts';
import type { JsonObject } from './json.ts';
import type { AnswerOf } from './references.ts';

/** A stream of a chat on its way to the client, in the client's own format. */
export interface AnswerStream {
  /** What has come so far. */
  readonly answer: Answer;
  /** @returns what the client gets of the event; null for nothing. */
  event(event: StreamEvent): string | null;
  /** Called once the last event has passed. @returns what the client gets besides; empty for nothing. */
  end(): string;
  /** The answer has failed, perhaps before its first event. @returns what tells the client so; empty once the answer has ended. */
  fail(error: AnswerError): string;
}

export interface StreamOptions {
  /** The request of the client. */
  readonly body: JsonObject;
  /** Names the answer; formats with ids of answers use it. */
  readonly answerId: string;
  /** One line for people when the answer has ended; null for none. */
  readonly closing: (answer: Answer) => string | null;
}

/** A wire format of conversations. Model servers are asked in chat completions, which all of them have. */
export interface Format {
  /** Its requests are chat completions themselves, so that {@link chatBody} only adds fields. Default: they are translated. */
  readonly isChat?: true;
  /** Null for what is no request of it. */
  read(body: JsonObject): Asked | null;
  /** The id of the answer that a request continues, where the format has such; null: the request has the whole conversation. */
  previousOf?(body: JsonObject): string | null;
  /** The request with the parts of earlier answers that it only names. @throws CwmError MessageNotFound. Default: names none. */
  resolved?(body: JsonObject, answerOf: AnswerOf): Promise<JsonObject>;
  /**
   * The request as chat completions.
   *
   * @param text the body as the client wrote it.
   * @param before what was said before it, where the client sends only what is new. Default: nothing.
   * @throws CwmError InvalidParameter for what chat completions have no form for.
   */
  chatBody(
    text: string,
    body: JsonObject,
    added: Readonly<Record<string, unknown>>,
    before?: readonly object[],
  ): string;
  stream(options: StreamOptions): AnswerStream;
  /**
   * The body of an answer that is not streamed.
   *
   * @param text as the model server wrote it.
   * @returns null for what is no answer.
   */
  whole(text: string, options: StreamOptions): string | null;
}

/** One line that every client of a stream skips. */
export const comment = (line: string | null): string => (line === null ? '' : `: ${line}\n\n`);
