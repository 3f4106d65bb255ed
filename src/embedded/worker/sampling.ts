import { createHash } from 'node:crypto';
import type { Candidates } from './workerProtocol.ts';

export interface SamplingOptions {
  /** 0 is greedy. */
  readonly temperature: number;
  /** Share of the probability to draw from, in (0, 1]. */
  readonly topP: number;
  /** Draws are the same for the same seed and step. */
  readonly seed: number;
}

/** Number of best tokens to draw from: far more than ever have a chance. */
export const sampledCandidates = 4096;

/** Natural logarithm of a candidate's probability under the model, before temperature. */
export const logprobAt = (candidates: Candidates, index: number): number =>
  (candidates.logits[index] ?? Number.NEGATIVE_INFINITY) -
  (candidates.logits[0] ?? 0) -
  Math.log(candidates.totalWeight);

/** Index of the chosen candidate at this step of the answer; 0 is the best. */
export function chooseCandidate(candidates: Candidates, options: SamplingOptions, step: number): number {
  if (options.temperature === 0) return 0;
  const best = candidates.logits[0] ?? 0;
  const weights = Array.from(candidates.logits, (logit) => Math.exp((logit - best) / options.temperature));
  const allowed = sum(weights) * options.topP;
  let chosenCount = 0;
  let chosenWeight = 0;
  while (chosenCount < weights.length && chosenWeight < allowed) chosenWeight += weights[chosenCount++] ?? 0;
  let left = uniform(options.seed, step) * chosenWeight;
  for (let index = 0; index < chosenCount; index++) {
    left -= weights[index] ?? 0;
    if (left < 0) return index;
  }
  return Math.max(0, chosenCount - 1);
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

/** In [0, 1). Depends on seed and step only, so that an interrupted answer continues unchanged. */
function uniform(seed: number, step: number): number {
  return createHash('sha256').update(`${seed}/${step}`).digest().readUInt32LE() / 2 ** 32;
}
