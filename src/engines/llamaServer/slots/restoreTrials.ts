import type { ReuseEvidence } from '../../../core/ports/engine.ts';

/**
 * What this server showed of contexts that it read back from their files. A model with a sliding window gives a few tokens less than
 * memory does, a hybrid one nothing, and no answer of the server tells which kind its model is.
 *
 * Each context that loses a few tokens is tried, although the next one will lose about as many: the canary is asked behind the trial, and so computes
 * as many tokens as that of a thaw. With another number of them, the answer is another by 0.1 to 0.3 nats (Gemma 3 270M, Q4_K_M), as if the KV were
 * damaged.
 */
export class RestoreTrials {
  /** Contexts of up to this many tokens came back whole. */
  #wholeTokens = 0;
  /** The last trial gave nothing, and a further one would compute a whole context for the same answer. */
  #nothing: ReuseEvidence | null = null;

  /** It is another server now. */
  reset(): void {
    this.#wholeTokens = 0;
    this.#nothing = null;
  }

  /** What is known of a context of so many tokens without a trial: `whole`, or that nothing comes back; null when it has to be tried. */
  known(tokens: number): 'whole' | ReuseEvidence | null {
    if (tokens <= this.#wholeTokens) return 'whole';
    return this.#nothing && { ...this.#nothing, promptTokens: tokens };
  }

  note(reuse: ReuseEvidence): void {
    const { promptTokens, cachedTokens } = reuse;
    if (cachedTokens === 0) this.#nothing = reuse;
    else if (cachedTokens === promptTokens - 1) this.#wholeTokens = Math.max(this.#wholeTokens, promptTokens);
  }
}
