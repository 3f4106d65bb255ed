import type { Canary } from '../protocol/receipt.ts';

/** Printing a float32 in decimal and reading it back moves it by less than this, in nats. */
const printingError = 1e-6;

/**
 * How far two canaries are apart: the largest difference of a log-probability, in nats; infinite when the greedy tokens
 * differ. A token that only one of them lists is measured against the other's least likely one, which is the least that
 * it can have moved.
 */
export function canaryDifference(a: Canary, b: Canary): number {
  if (a.tokenId !== b.tokenId) return Infinity;
  const inA = new Map(a.topLogprobs.map((entry) => [entry.token, entry.logprob]));
  const inB = new Map(b.topLogprobs.map((entry) => [entry.token, entry.logprob]));
  const least = (entries: ReadonlyMap<string, number>) => Math.min(...entries.values());
  let difference = 0;
  for (const token of new Set([...inA.keys(), ...inB.keys()])) {
    difference = Math.max(difference, Math.abs((inA.get(token) ?? least(inA)) - (inB.get(token) ?? least(inB))));
  }
  return difference;
}

/** Whether a difference is more than this engine's own noise, as two answers to one request showed it. */
export const isBeyondNoise = (difference: number, noise: number): boolean => difference > noise + printingError;
