import { endedEarly, type AnswerError } from '../answerError.ts';
import type { StreamEvent } from './eventSplitter.ts';
import { comment, type AnswerStream, type StreamOptions } from '../format.ts';
import type { Answer } from '../item.ts';
import { objectOf, parsed, type JsonObject } from '../json.ts';

/** What a model server answers in the client's own format, put together beside it. */
export interface OwnAnswer {
  readonly answer: Answer;
  /** Takes what one event says. */
  event(said: JsonObject): void;
}

/** A stream that is in the client's format already: every event passes as the server wrote it, and is read beside that. */
export class OwnStream implements AnswerStream {
  readonly #said: OwnAnswer;
  readonly #options: StreamOptions;
  readonly #ways: OwnWays;
  #isClosed = false;

  constructor(said: OwnAnswer, options: StreamOptions, ways: OwnWays) {
    this.#said = said;
    this.#options = options;
    this.#ways = ways;
  }

  get answer(): Answer {
    return this.#said.answer;
  }

  event({ raw, data }: StreamEvent): string | null {
    const said = data === null ? null : objectOf(parsed(data));
    if (!said) return raw;
    this.#said.event(said);
    const passed = this.#ways.passed?.(raw) ?? raw;
    const ends = !this.#isClosed && this.#ways.ends.has(String(said['type']));
    if (!ends) return passed;
    this.#isClosed = true;
    return comment(this.#options.closing(this.answer)) + passed;
  }

  end(): string {
    const { isWhole, error } = this.answer;
    return isWhole || error ? '' : this.fail(endedEarly);
  }

  fail(error: AnswerError): string {
    return this.#isClosed ? '' : this.#ways.failed(error);
  }
}

export interface OwnWays {
  /** Types of the events of which one ends an answer. */
  readonly ends: ReadonlySet<string>;
  /** What the client gets of an event, where the gateway asked for something that the client did not. Default: all of it. */
  readonly passed?: (raw: string) => string;
  /** The event that says that the answer has failed. */
  readonly failed: (error: AnswerError) => string;
}
