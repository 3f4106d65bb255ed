import type { Candidates } from './workerProtocol.ts';

/** Scores of the next token, as node-llama-cpp tells them. */
export interface NextScores {
  /** From 3.22 on: the best tokens that were asked for. */
  readonly logits?: ReadonlyMap<number, number>;
  readonly totalLogitWeight?: number;
  /** In every version: the probability of each token of the vocabulary. */
  readonly probabilities?: ReadonlyMap<number, number>;
}

/**
 * The request for so many of the best tokens. The packages for Windows and macOS have node-llama-cpp 3.21.1, which tells no logits, but the
 * probabilities of the whole vocabulary, which take a little longer.
 */
export const scoresOf = (count: number, givesLogits: boolean) =>
  givesLogits
    ? ({ totalLogitWeight: true, logits: { filter: { tokens: [], includeTop: count } } } as const)
    : ({ probabilities: true } as const);

/** The best tokens, best first. At temperature 0, which changes neither, both forms give the same probabilities. */
export function candidatesOf({ logits, totalLogitWeight, probabilities }: NextScores, count: number): Candidates {
  const isRanked = logits !== undefined;
  const scores = logits ?? new Map([...(probabilities ?? [])].map(([id, probability]) => [id, Math.log(probability)]));
  const ranked = [...scores].sort(([, a], [, b]) => b - a).slice(0, count);
  const best = ranked[0]?.[1] ?? 0;
  return {
    ids: Uint32Array.from(ranked, ([id]) => id),
    logits: Float64Array.from(ranked, ([, score]) => score),
    // Probabilities are shares of 1 already.
    totalWeight: isRanked ? (totalLogitWeight ?? 1) : Math.exp(-best),
  };
}
