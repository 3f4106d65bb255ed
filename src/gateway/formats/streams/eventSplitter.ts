/** One event of a stream, with the empty line behind it. */
export interface StreamEvent {
  readonly raw: string;
  /** Its `data` lines, joined; null for a comment. */
  readonly data: string | null;
}

/** An event this long is no event of an answer. */
const longestEvent = 32 << 20;

/** Cuts a stream into its events. What came of an event that is not over yet waits for the rest. */
export class EventSplitter {
  readonly #decoder = new TextDecoder();
  /** Of the event that is not over: what has been searched for its end, and what has not. */
  #searched: string[] = [];
  #searchedLength = 0;
  #rest = '';

  push(bytes: Uint8Array): StreamEvent[] {
    this.#rest += this.#decoder.decode(bytes, { stream: true });
    const events: StreamEvent[] = [];
    for (;;) {
      const end = /\r?\n\r?\n/.exec(this.#rest);
      if (!end) break;
      const length = end.index + end[0].length;
      const raw = this.#searched.join('') + this.#rest.slice(0, length);
      this.#leave(this.#rest.slice(length));
      events.push({ raw, data: dataOf(raw) });
    }
    // An end may have come in part.
    const searched = this.#rest.slice(0, -3);
    if (searched !== '') this.#searched.push(searched);
    this.#searchedLength += searched.length;
    this.#rest = this.#rest.slice(-3);
    if (this.#searchedLength <= longestEvent) return events;
    events.push({ raw: this.#searched.join('') + this.#rest, data: null });
    this.#leave('');
    return events;
  }

  /** What is left behind the last event, which some servers do not end; null: nothing is. */
  end(): StreamEvent | null {
    const raw = this.#searched.join('') + this.#rest + this.#decoder.decode();
    this.#leave('');
    return raw.trim() === '' ? null : { raw, data: dataOf(raw) };
  }

  #leave(rest: string): void {
    this.#searched = [];
    this.#searchedLength = 0;
    this.#rest = rest;
  }
}

function dataOf(raw: string): string | null {
  if (raw.startsWith('data: ') && raw.indexOf('\n') === raw.trimEnd().length) return raw.slice(6).trimEnd();
  const lines = raw.split(/\r?\n/).filter((line) => line.startsWith('data:'));
  // llama-server has a field of its own for what went wrong.
  if (lines.length === 0 && raw.startsWith('error: {')) return `{"error":${raw.slice(7).trim()}}`;
  return lines.length === 0 ? null : lines.map((line) => line.slice(5).replace(/^ /, '')).join('\n');
}
