import type { ReuseEvidence } from '../../core/ports/engine.ts';

/** A context of so many times the tokens is much like another one: seldom does a sliding window begin to matter between the two. */
const alikeShare = 0.8;

/**
 * What this server showed of contexts that it read back from their files. A model with a sliding window gives a few tokens less than
 * memory does, a hybrid one nothing, and no answer of the server tells which kind its model is.
 */
export class RestoreTrials {
  /** Contexts of up to this many tokens came back whole. */
  #wholeTokens = 0;
  /** The last trial gave nothing, and a further one would compute a whole context for the same answer. */
  #nothing: ReuseEvidence | null = null;
  /** The last trial that gave something. */
  #last: ReuseEvidence | null = null;

  /** It is another server now. */
  reset(): void {
    this.#wholeTokens = 0;
    this.#nothing = null;
    this.#last = null;
  }

  /** What is known of a context of so many tokens without a trial: `whole`, or that nothing comes back; null when it has to be tried. */
  known(tokens: number): 'whole' | ReuseEvidence | null {
    if (tokens <= this.#wholeTokens) return 'whole';
    return this.#nothing && { ...this.#nothing, promptTokens: tokens };
  }

  /** What a trial would show that came out as the last one; null where that was of much fewer tokens. */
  likely(tokens: number): 'whole' | ReuseEvidence | null {
    const { promptTokens, cachedTokens } = this.#last ?? { promptTokens: 0, cachedTokens: null };
    if (!this.#last || cachedTokens === null || promptTokens < alikeShare * tokens) return null;
    const missing = promptTokens - cachedTokens;
    if (missing === 1) return 'whole';
    return missing < tokens ? { ...this.#last, promptTokens: tokens, cachedTokens: tokens - missing } : null;
  }

  note(reuse: ReuseEvidence): void {
    const { promptTokens, cachedTokens } = reuse;
    if (cachedTokens) this.#last = reuse;
    if (cachedTokens === 0) this.#nothing = reuse;
    else if (cachedTokens === promptTokens - 1) this.#wholeTokens = Math.max(this.#wholeTokens, promptTokens);
  }
}
