/** Text of token ids, without special tokens; what is not whole UTF-8 shows as U+FFFD. */
export type Detokenize = (lists: readonly (readonly number[])[]) => Promise<readonly string[]>;

const incomplete = '\ufffd';
/** Tokens before the answer that decide whether it begins with a space. */
const contextTokens = 6;

/** The text of a growing list of tokens, piece by piece. A character that is spread over several tokens comes as a whole. */
export class TextStream {
  readonly #detokenize: Detokenize;
  readonly #ids: number[];
  /** Tokens up to here are read; those from `#from` on give them their context. */
  #read: number;
  #from = 0;

  constructor(detokenize: Detokenize, promptIds: readonly number[]) {
    this.#detokenize = detokenize;
    this.#ids = promptIds.slice(-contextTokens);
    this.#read = this.#ids.length;
  }

  /** The text that this token completes; empty while its last character is not whole. */
  async push(id: number): Promise<string> {
    this.#ids.push(id);
    const [before = '', now = ''] = await this.#texts();
    if (now.endsWith(incomplete)) return '';
    this.#from = this.#read;
    this.#read = this.#ids.length;
    return now.slice(before.length);
  }

  /** What is left when no more tokens come. */
  async end(): Promise<string> {
    if (this.#read === this.#ids.length) return '';
    const [before = '', now = ''] = await this.#texts();
    this.#read = this.#ids.length;
    return now.slice(before.length);
  }

  #texts(): Promise<readonly string[]> {
    return this.#detokenize([this.#ids.slice(this.#from, this.#read), this.#ids.slice(this.#from)]);
  }
}
