import type { Canary } from '../../protocol/schemas/receipt.ts';

/** A float32 that is printed in decimal and read back changes by less than this, in nats. */
const printingError = 1e-6;

/**
 * How far two canaries are apart: the largest difference of a log-probability, in nats; infinite when they have none of the likeliest
 * tokens in common. A token that only one of them lists is measured against the other's least likely one, which is the least that
 * it can have moved. Which of two near-equal tokens leads says no more than that.
 */
export function canaryDifference(a: Canary, b: Canary): number {
  const inA = new Map(a.topLogprobs.map((entry) => [entry.token, entry.logprob]));
  const inB = new Map(b.topLogprobs.map((entry) => [entry.token, entry.logprob]));
  if (!a.topLogprobs.some(({ token }) => inB.has(token))) return Infinity;
  const least = (entries: ReadonlyMap<string, number>) => Math.min(...entries.values());
  let difference = 0;
  for (const token of new Set([...inA.keys(), ...inB.keys()])) {
    difference = Math.max(difference, Math.abs((inA.get(token) ?? least(inA)) - (inB.get(token) ?? least(inB))));
  }
  return difference;
}

/** No rounding changes a log-probability by this much, in nats. */
export const grossDifference = 0.5;

/** Whether two canaries differ more than a computation in another order can explain. */
export const differsGrossly = (a: Canary, b: Canary): boolean => canaryDifference(a, b) > grossDifference;

/** Whether a difference is more than this engine's own noise, as two answers to one request showed it. */
export const isBeyondNoise = (difference: number, noise: number): boolean => difference > noise + printingError;
