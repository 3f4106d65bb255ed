import type { ReuseEvidence } from '../ports/engine.ts';

/** Fewer computed tokens than this say more about latency than about prefill. */
const leastComputedTokens = 256;

/** How fast each engine was last seen to prefill, so that a thaw can say beforehand what it would cost without KV. */
export class PrefillRates {
  readonly #msPerToken = new Map<string, number>();

  observe(engineSpec: string, { promptTokens, cachedTokens, timeToFirstTokenMs }: ReuseEvidence): void {
    const computed = promptTokens - (cachedTokens ?? promptTokens);
    if (timeToFirstTokenMs === null || computed < leastComputedTokens) return;
    this.#msPerToken.set(engineSpec, timeToFirstTokenMs / computed);
  }

  /** Milliseconds, by the rate seen last; attention makes long contexts slower than that. Null when nothing was seen yet. */
  expectedMs(engineSpec: string, tokens: number): number | null {
    const rate = this.#msPerToken.get(engineSpec);
    return rate === undefined ? null : rate * tokens;
  }
}
