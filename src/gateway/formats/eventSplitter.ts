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
  #rest = '';

  push(bytes: Uint8Array): StreamEvent[] {
    this.#rest += this.#decoder.decode(bytes, { stream: true });
    const events: StreamEvent[] = [];
    for (;;) {
      const end = /\r?\n\r?\n/.exec(this.#rest);
      if (!end) break;
      const raw = this.#rest.slice(0, end.index + end[0].length);
      this.#rest = this.#rest.slice(raw.length);
      events.push({ raw, data: dataOf(raw) });
    }
    if (this.#rest.length <= longestEvent) return events;
    events.push({ raw: this.end(), data: null });
    return events;
  }

  /** What is left behind the last event. */
  end(): string {
    const rest = this.#rest + this.#decoder.decode();
    this.#rest = '';
    return rest;
  }
}

function dataOf(raw: string): string | null {
  if (raw.startsWith('data: ') && raw.indexOf('\n') === raw.trimEnd().length) return raw.slice(6).trimEnd();
  const lines = raw.split(/\r?\n/).filter((line) => line.startsWith('data:'));
  return lines.length === 0 ? null : lines.map((line) => line.slice(5).replace(/^ /, '')).join('\n');
}
