/** Finds the first stop string in a text that arrives in pieces, and holds back what may be the beginning of one. */
export class StopStrings {
  readonly #stops: readonly string[];
  #held = '';
  #found: string | null = null;

  constructor(stops: readonly string[]) {
    this.#stops = stops.filter((stop) => stop !== '');
  }

  /** The stop string that ended the text; null while none did. */
  get found(): string | null {
    return this.#found;
  }

  /** The part of the text so far that no stop string can swallow, whatever follows. */
  push(text: string): string {
    if (this.#found !== null) return '';
    this.#held += text;
    let cut = Number.POSITIVE_INFINITY;
    for (const stop of this.#stops) {
      const at = this.#held.indexOf(stop);
      if (at >= 0 && at < cut) [cut, this.#found] = [at, stop];
    }
    if (this.#found !== null) return this.#release(cut, true);
    const keep = Math.max(0, ...this.#stops.map((stop) => overlap(this.#held, stop)));
    return this.#release(this.#held.length - keep, false);
  }

  /** The text that was held back: it ends here. */
  end(): string {
    return this.#release(this.#held.length, true);
  }

  #release(length: number, isEnd: boolean): string {
    const released = this.#held.slice(0, length);
    this.#held = isEnd ? '' : this.#held.slice(length);
    return released;
  }
}

/** Length of the longest end of `text` that `stop` begins with. */
function overlap(text: string, stop: string): number {
  for (let length = Math.min(text.length, stop.length - 1); length > 0; length--) {
    if (text.endsWith(stop.slice(0, length))) return length;
  }
  return 0;
}
