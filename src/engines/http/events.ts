import type { Readable } from 'node:stream';
import { createParser } from 'eventsource-parser';
import { CwmError } from '../../protocol/errors.ts';
import { quoted } from './body.ts';
import { BodyText } from './bodyText.ts';
import { parseJson } from './parseJson.ts';

/** The first event of a chat holds all prompt ids: 128K of them are about 1 MB. */
const maxEventChars = 16 * 1024 * 1024;
const endMark = '[DONE]';

/** One event of an answer. The last one may be the end mark, which has no data. */
export interface StreamEvent {
  /** As the server calls it (`event: error`); null for the usual one. */
  readonly name: string | null;
  readonly data: string;
  /** The server says that nothing follows. */
  readonly isEnd: boolean;
}

/**
 * The events of an answer up to its end mark, if it has one: whether an answer without one is whole, its reader decides. Takes what
 * servers call a stream: server-sent events whatever their line ends, comments and blank lines; JSON, one value in a line; and a
 * single JSON value, which is the whole answer. `onChunk` is called when the events of a piece have been dealt with. The body is left open: what
 * follows the end mark is the caller's to read or to drop.
 *
 * @throws CwmError EngineFailed for an event beyond any honest size, and for what is no stream at all, with what the server said.
 */
export async function* readEvents(
  body: Readable,
  onChunk: () => void,
  label: string,
  decoder = new BodyText(),
): AsyncGenerator<StreamEvent> {
  let form: Form | null = null;
  let text = '';
  for await (const chunk of body.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>) {
    text += decoder.feed(chunk);
    form ??= formOf(text, label);
    if (form) {
      yield* upToEnd(form.feed(text));
      if (form.hasEnded) return;
      text = '';
    }
    onChunk();
  }
  form ??= new EventLines(label);
  yield* upToEnd(form.feed(text + decoder.end()));
  yield* upToEnd(form.finish());
}

function* upToEnd(events: readonly StreamEvent[]): Generator<StreamEvent> {
  for (const event of events) {
    yield event;
    if (event.isEnd) return;
  }
}

/** Takes an answer apart as it comes. */
interface Form {
  readonly hasEnded: boolean;
  feed(text: string): StreamEvent[];
  finish(): StreamEvent[];
}

/** Null while only white space has come. */
function formOf(text: string, label: string): Form | null {
  const start = text.trimStart()[0];
  if (start === undefined) return null;
  return start === '{' || start === '[' ? new JsonLines(label) : new EventLines(label);
}

/** Server-sent events. An event is given as soon as its data is complete: some servers send no blank line after it. */
class EventLines implements Form {
  readonly #label: string;
  readonly #lines: Lines;
  #ready: StreamEvent[] = [];
  #hasFields = false;
  #head = '';
  hasEnded = false;
  readonly #parser = createParser({
    onEvent: ({ event, data }) => this.#take(event ?? null, data),
  });

  constructor(label: string) {
    this.#label = label;
    this.#lines = new Lines(label);
  }

  feed(text: string): StreamEvent[] {
    if (!this.#hasFields && this.#head.length < 1024) this.#head += text.slice(0, 1024);
    for (const line of this.#lines.feed(text)) this.#line(line);
    return this.#flush();
  }

  finish(): StreamEvent[] {
    const rest = this.#lines.rest();
    // What breaks off in the middle of an event is no event.
    if (isWhole(dataOf(rest))) this.#line(rest);
    if (this.#hasFields || this.#head.trim() === '') return this.#flush();
    throw new CwmError(
      'EngineFailed',
      `The model server at ${this.#label} sent no stream of answers${quoted(this.#head)}.`,
    );
  }

  #line(line: string): void {
    if (/^(data|event|id|retry)?:/.test(line)) this.#hasFields = true;
    this.#parser.feed(`${line}\n${isWhole(dataOf(line)) ? '\n' : ''}`);
  }

  #take(name: string | null, data: string): void {
    const isEnd = data.trim() === endMark;
    this.hasEnded ||= isEnd;
    this.#ready.push({ name, data: isEnd ? '' : data, isEnd });
  }

  #flush(): StreamEvent[] {
    const ready = this.#ready;
    this.#ready = [];
    return ready;
  }
}

/** JSON values, one in a line or one in all. */
class JsonLines implements Form {
  readonly #lines: Lines;
  readonly hasEnded = false;
  readonly #label: string;
  /** Lines of a value that is not complete yet. */
  #begun = '';

  constructor(label: string) {
    this.#label = label;
    this.#lines = new Lines(label);
  }

  feed(text: string): StreamEvent[] {
    return this.#lines.feed(text).flatMap((line) => this.#value(line));
  }

  finish(): StreamEvent[] {
    const events = this.#value(this.#lines.rest());
    return isWhole(this.#begun) ? [...events, { name: null, data: this.#begun, isEnd: false }] : events;
  }

  #value(line: string): StreamEvent[] {
    const data = this.#begun === '' ? line : `${this.#begun}\n${line}`;
    if (data.length > maxEventChars) throw tooLarge(this.#label);
    // A value over several lines ends where nothing is indented; to try at each line would take too long.
    const mayEnd = /^[\]}{[]/.test(line);
    this.#begun = mayEnd && isWhole(data) ? '' : data;
    return this.#begun === '' && data !== '' ? [{ name: null, data, isEnd: false }] : [];
  }
}

/** Lines that may end in LF, CRLF or CR, without their ends. */
class Lines {
  readonly #label: string;
  #rest = '';
  /** The last character is a CR. */
  #mayBeHalf = false;

  constructor(label: string) {
    this.#label = label;
  }

  feed(text: string): string[] {
    if (this.#rest.length + text.length > maxEventChars) throw tooLarge(this.#label);
    const all = this.#rest + text;
    const isMore = !this.#mayBeHalf && !/[\r\n]/.test(text);
    this.#mayBeHalf = text.endsWith('\r');
    if (isMore) {
      this.#rest = all;
      return [];
    }
    // A CR at the very end may be the first half of a CRLF.
    const lines = all.split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop() ?? '';
    return lines;
  }

  rest(): string {
    const rest = this.#rest.replace(/\r$/, '');
    this.#rest = '';
    return rest;
  }
}

const dataOf = (line: string): string => /^\uFEFF?data: ?(.*)$/s.exec(line)?.[1] ?? '';

function isWhole(data: string): boolean {
  if (data.trim() === endMark) return true;
  if (!/^\s*[[{]/.test(data)) return false;
  try {
    parseJson(data);
    return true;
  } catch {
    return false;
  }
}

const tooLarge = (label: string): CwmError =>
  new CwmError('EngineFailed', `The model server at ${label} sent an event that is far too large.`);
