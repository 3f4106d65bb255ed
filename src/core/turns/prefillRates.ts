import type { ReuseEvidence } from '../ports/engine.ts';

/** Fewer computed tokens than this say more about latency than about prefill. */
const leastComputedTokens = 256;
/** A prefill that takes less than this, in milliseconds, cannot be told from latency. */
const measurableMs = 1_000;

interface Seen {
  /** Of the fastest request so far: what every request costs, whatever it computes. */
  leastMs: number;
  /** Of the last request that computed enough to tell. */
  computed: { readonly tokens: number; readonly ms: number } | null;
}

/** How fast each engine was last seen to prefill, so that a thaw can say beforehand what it would cost without KV. */
export class PrefillRates {
  readonly #seen = new Map<string, Seen>();

  observe(engineSpec: string, { promptTokens, cachedTokens, timeToFirstTokenMs: ms }: ReuseEvidence): void {
    if (ms === null) return;
    const seen = this.#seen.get(engineSpec) ?? { leastMs: ms, computed: null };
    seen.leastMs = Math.min(seen.leastMs, ms);
    const tokens = promptTokens - (cachedTokens ?? promptTokens);
    if (tokens >= leastComputedTokens) seen.computed = { tokens, ms };
    this.#seen.set(engineSpec, seen);
  }

  /** Milliseconds, by the rate seen last; attention makes long contexts slower than that. Null when nothing was seen yet. */
  expectedMs(engineSpec: string, tokens: number): number | null {
    const computed = this.#seen.get(engineSpec)?.computed;
    return computed ? (computed.ms / computed.tokens) * tokens : null;
  }

  /**
   * Whether a request took more than half the time that computing all of it takes, beyond what every request takes: then it
   * cannot have reused all of it. False where that time is too short to measure, or others used the server.
   */
  isTooSlowForReuse(engineSpec: string, { promptTokens, timeToFirstTokenMs: ms, serverIdle }: ReuseEvidence): boolean {
    const seen = this.#seen.get(engineSpec);
    if (!seen?.computed || ms === null || serverIdle === false) return false;
    const wholeMs = ((seen.computed.ms - seen.leastMs) / seen.computed.tokens) * promptTokens;
    return wholeMs >= measurableMs && ms - seen.leastMs > wholeMs / 2;
  }
}
