import type { ReuseEvidence } from '../ports/engine.ts';

/** Fewer computed tokens than this say more about latency than about prefill. */
const leastComputedTokens = 256;
/** A prefill that takes less than this, in milliseconds, says nothing: latency hides it. */
const measurableMs = 1_000;

interface Seen {
  /** Of the fastest request so far: the cost that every request has, even when it computes nothing. */
  leastMs: number;
  /** Of the last request that computed enough to tell. */
  computed: { readonly tokens: number; readonly ms: number } | null;
}

/** The prefill rate of each engine at its last request, so that a thaw can estimate its cost without KV beforehand. */
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

  /** Milliseconds, at the last rate; attention makes long contexts slower than that. Null when no rate is known yet. */
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
