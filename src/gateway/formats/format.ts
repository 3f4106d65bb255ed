import type { StreamEvent } from './streams/eventSplitter.ts';
import type { AnswerError } from './answerError.ts';
import type { Answer, Asked, Item } from './item.ts';
import type { JsonObject } from './json.ts';
import type { Named } from './references.ts';
import type { Span } from './spans.ts';

/** A streamed answer on its way to the client, in the client's own format. */
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
  /** What `usage` has besides, as `cwm`; null for nothing. Default: nothing. */
  readonly usage?: (answer: Answer) => object | null;
}

/** Clients of chat completions were seen to skip it there; in the other formats, only answers that are not streamed have it. */
export const ownUsage = (answer: Answer, { usage }: StreamOptions): { readonly cwm?: object } => {
  const cwm = usage?.(answer);
  return cwm ? { cwm } : {};
};

/** What was said before a request that has only what is new, in both forms in which a model server can be asked. */
export interface Before {
  readonly items: () => readonly Item[];
  /** As messages of chat completions. @throws CwmError InvalidParameter for what they have no form for. */
  readonly chat: () => readonly object[];
  /** In the format of the request. */
  readonly own: () => readonly object[];
}

/** A request as the client wrote it. */
export interface Written {
  readonly text: string;
  /** The same, with the parts of earlier answers that it only names. */
  readonly body: JsonObject;
  /** It names such parts, so that `text` says less. */
  readonly hasNames: boolean;
  /** Null: it has the whole conversation. */
  readonly before: Before | null;
}

/** What the gateway asks for besides, as far as the model server understands it. */
export interface Besides {
  /** Whose fields beyond the format the server knows; null: nobody's. */
  readonly dialect: 'vllm' | 'llama-server' | null;
  /** Null: the server has none. */
  readonly salt: string | null;
  /** What the server has in memory may be another project's. */
  readonly reusesNothing: boolean;
  /** Where a llama-server shall compute it; null: it chooses. */
  readonly slot: number | null;
}

/** Elements of a list that stand together in a body, or a field of it. */
export interface Part {
  readonly spans: readonly Span[];
  /** What stands there, without what cannot reach the model. */
  readonly values: readonly unknown[];
}

/** Where a body has what was said. */
export interface Parts {
  /** The system prompt, in one place or two. */
  readonly lead: readonly Part[];
  /** Each is one message of the conversation or several. */
  readonly said: readonly (Part & { readonly items: readonly Item[] })[];
  readonly tools: Span | null;
}

/** How bodies of one form are laid out, for what is sent as it was spelled first. */
export interface Layout {
  /** Tells the bytes of one form from those of another; no two layouts have the same. */
  readonly name: string;
  /** Null for a body that has another form. */
  parts(text: string, body: JsonObject): Parts | null;
  /** Where a part has the arguments of each call: a text that holds JSON, or that JSON itself. Null for a call whose spelling is the server's. */
  argumentsIn(raw: string): readonly (Span | null)[];
  /** What the system prompt says. @param raws of {@link Parts.lead}. */
  systemOf(raws: readonly string[]): string;
  /** A system prompt as {@link Parts.lead} would have it. */
  leadOf(system: string): readonly { readonly raw: string; readonly value: unknown }[];
}

/** What an answer that a client may name left behind. */
export interface Answered {
  /** The request, as the model server got it. */
  readonly sent: string;
  /** It begins with the client's instructions, which every request has of its own. */
  readonly hasInstructions: boolean;
  readonly item: Item;
  /** As the model server wrote it, each part as JSON; null: the gateway gave the client its own form. */
  readonly output: readonly string[] | null;
}

/** One form in which a model server is asked, and in which it answers. */
export interface Wire {
  readonly path: string;
  readonly layout: Layout;
  /** Its bodies have the client's own bytes, but for what was said before and what the client only names. Default: they are translated. */
  readonly keepsBytes?: true;
  /** @param besides default: nothing. @throws CwmError InvalidParameter for what the form cannot say. */
  body(request: Written, besides?: Besides): string;
  stream(options: StreamOptions): AnswerStream;
  /**
   * The body of an answer that is not streamed.
   *
   * @param text as the model server wrote it.
   * @returns `passed` null for what is no answer.
   */
  whole(text: string, options: StreamOptions): { readonly answer: Answer; readonly passed: string | null };
  /** What a request that continues the answer goes on with, where a format has such requests. */
  before?(answered: Answered): Before;
}

/** The form of the client itself: what it wrote passes as it is, and so does the answer. */
export interface OwnWire extends Wire {
  /** Whether a request has something that is lost in chat completions, and that a server of this dialect would understand here. */
  saysMore(body: JsonObject, dialect: Besides['dialect']): boolean;
}

/** A wire format of conversations. */
export interface Format {
  /** Null for what is no request of it. */
  read(body: JsonObject): Asked | null;
  /** The id of the answer that a request continues, where the format has such; null: the request has the whole conversation. */
  previousOf?(body: JsonObject): string | null;
  /** The request with the parts of earlier answers that it only names. @throws CwmError MessageNotFound. Default: names none. */
  resolved?(body: JsonObject, named: Named): Promise<JsonObject>;
  /** An answer's earlier messages, as the store has them. Default: the format has no requests that continue one. */
  beforeOf?(messages: readonly object[]): Before;
  /** Chat completions, which all model servers have. */
  readonly chat: Wire;
  /** The format itself, which some have. Default: it is chat completions. */
  readonly own?: OwnWire;
}

/** One line that every client of a stream skips. */
export const comment = (line: string | null): string => (line === null ? '' : `: ${line}\n\n`);
