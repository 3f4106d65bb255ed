import type { ReuseEvidence } from '../../../core/ports/engine.ts';

/**
 * What this server showed of contexts that it read back from their files. A model with a sliding window gives a few tokens less than
 * memory does, a hybrid one nothing, and no answer of the server tells which kind its model is.
 */
export class RestoreTrials {
  /** Contexts of up to this many tokens came back whole. */
  #wholeTokens = 0;
  /** The last trial gave nothing, and a further one would compute a whole context for the same answer. */
  #nothing: ReuseEvidence | null = null;
  /** The last trial lost a few tokens, as a sliding window does. */
  #lossy: ReuseEvidence | null = null;
  /** The trial before it, of a shorter context, lost as many: so does each longer one. */
  #isSteady = false;

  /** It is another server now. */
  reset(): void {
    this.#wholeTokens = 0;
    this.#nothing = null;
    this.#lossy = null;
    this.#isSteady = false;
  }

  /** What is known of a context of so many tokens without a trial: `whole`, or that nothing comes back; null when it has to be tried. */
  known(tokens: number): 'whole' | ReuseEvidence | null {
    if (tokens <= this.#wholeTokens) return 'whole';
    if (this.#nothing) return { ...this.#nothing, promptTokens: tokens };
    const lossy = this.#lossy;
    if (!lossy || !this.#isSteady || tokens < lossy.promptTokens) return null;
    return { ...lossy, promptTokens: tokens, cachedTokens: tokens - lostOf(lossy) };
  }

  note(reuse: ReuseEvidence): void {
    const { promptTokens, cachedTokens } = reuse;
    if (cachedTokens === 0) this.#nothing = reuse;
    else if (cachedTokens === promptTokens - 1) this.#wholeTokens = Math.max(this.#wholeTokens, promptTokens);
    else if (cachedTokens !== null) {
      const before = this.#lossy;
      this.#isSteady = before !== null && promptTokens >= before.promptTokens && lostOf(reuse) === lostOf(before);
      this.#lossy = reuse;
    }
  }
}

const lostOf = ({ promptTokens, cachedTokens }: ReuseEvidence): number => promptTokens - (cachedTokens ?? 0);
