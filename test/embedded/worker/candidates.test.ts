import { expect, test } from 'vitest';
import { candidatesOf, scoresOf } from '../../../src/embedded/worker/candidates.ts';
import { logprobAt } from '../../../src/embedded/worker/sampling.ts';

const logits = [2.5, -1, 0.25, 7, 7.5];
const total = logits.reduce((sum, logit) => sum + Math.exp(logit - 7.5), 0);
const withLogits = { logits: new Map(logits.map((logit, id) => [id, logit])), totalLogitWeight: total };
const withProbabilities = { probabilities: new Map(logits.map((logit, id) => [id, Math.exp(logit - 7.5) / total])) };

test('log-probabilities are the same from logits and from probabilities, which node-llama-cpp 3.21 gives alone', () => {
  const [one, other] = [withLogits, withProbabilities].map((next) => candidatesOf(next, 3));
  if (!one || !other) throw new Error('there are two');
  expect([...one.ids]).toEqual([4, 3, 0]);
  expect([...other.ids]).toEqual([4, 3, 0]);
  for (const at of [0, 1, 2]) {
    expect(logprobAt(other, at)).toBeCloseTo(logprobAt(one, at), 12);
    expect(Math.exp(logprobAt(one, at))).toBeCloseTo(withProbabilities.probabilities.get(one.ids[at] ?? -1) ?? 0, 12);
  }
});

test('probabilities of the whole vocabulary are asked for only where no logits are told', () => {
  expect(scoresOf(5, true)).not.toHaveProperty('probabilities');
  expect(scoresOf(5, false)).toEqual({ probabilities: true });
});
