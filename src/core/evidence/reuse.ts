import type { ReuseEvidence } from '../ports/engine.ts';

/**
 * The most tokens of a prompt that an engine can take from its cache: whole blocks only, and never the last token, since
 * something has to be computed for an answer to come out (vLLM PR #17999).
 *
 * @param most the largest reuse measured for this context, where it is lower than the floor (see {@link mostReusable}).
 */
export function reuseFloor(promptTokens: number, blockTokens: number, most = Infinity): number {
  return promptTokens < 1 ? 0 : Math.min(most, Math.floor((promptTokens - 1) / blockTokens) * blockTokens);
}

/** More than this is lost by eviction or by a neighbour, not by the kind of the model. */
export const mostLostTokens = 16;

/**
 * The most tokens that can be reused of a context that the engine holds whole, as the engine showed it: a cache with a sliding window
 * computes a few of the last tokens again each time. Undefined where the usual floor holds.
 */
export function mostReusable(
  { promptTokens, cachedTokens, cachedTokensFrom }: ReuseEvidence,
  blockTokens: number | null,
): number | undefined {
  if (blockTokens !== 1 || cachedTokensFrom !== 'timings' || cachedTokens === null || cachedTokens < 1)
    return undefined;
  const lost = reuseFloor(promptTokens, blockTokens) - cachedTokens;
  return lost > 0 && lost <= mostLostTokens ? cachedTokens : undefined;
}

/** A note for the user about a floor that is lower than usual. */
export const mostReusableNotes = (most: number | undefined, tokens: number): string[] =>
  most === undefined
    ? []
    : [
        `A thaw can reuse at most ${most} of these ${tokens} tokens: the model's cache has a sliding window, so the last ${tokens - most} are computed again.`,
      ];

/** What the user should know of a context that was read back from where it is stored, at the freeze. */
export const restoredNotes = (restored: ReuseEvidence | undefined): string[] =>
  restored?.cachedTokens === 0
    ? [
        'The model server stored the KV cache and reuses nothing of it when it is read back, so a thaw computes the context again.',
      ]
    : [];

/** Whether the later of two requests is known to have reused less than the first: some of what the first one reused is gone. */
export const reusedLess = (later: ReuseEvidence, first: ReuseEvidence): boolean =>
  later.cachedTokens !== null && first.cachedTokens !== null && later.cachedTokens < first.cachedTokens;
