import type { Canary } from '../../protocol/schemas/receipt.ts';
import { canaryDifference } from './canary.ts';
import type { Measurement } from '../ports/engine.ts';

/** The most requests for one canary to measure the noise. */
export const mostAnswers = 5;

export interface NoiseSample {
  readonly last: Measurement;
  /** The two answers that differed most; null when the engine gives no log-probabilities. */
  readonly pair: [Canary, Canary] | null;
  /** Their difference, in nats; 0 for a single answer, null without any. */
  readonly noise: number | null;
  /** Whether others used the server during these requests. */
  readonly isBusy: boolean;
  /** Whether the requests reused different numbers of tokens: another program used the place of this context between them. */
  readonly isUneven: boolean;
}

/**
 * Repeats one request to see how much the engine's answers differ: `fewest` times, and more while others use the server, whose requests
 * change the last bits of its answers. At least once, also where an earlier one counts.
 *
 * @param ask its argument: whether another one follows for certain.
 * @param earlier the same request over the same KV, which was made just before; null: there was none.
 */
export async function askForNoise(
  ask: (isFollowed: boolean) => Promise<Measurement>,
  fewest: number,
  earlier: Measurement | null = null,
): Promise<NoiseSample> {
  const canaries: Canary[] = earlier?.canary ? [earlier.canary] : [];
  const reused = new Set(earlier ? [earlier.reuse.cachedTokens] : []);
  let isBusy = earlier?.reuse.serverIdle === false;
  for (let asked = canaries.length + 1; ; asked++) {
    const last = await ask(asked < fewest);
    isBusy ||= last.reuse.serverIdle === false;
    reused.add(last.reuse.cachedTokens);
    if (last.canary) canaries.push(last.canary);
    if (asked >= (isBusy ? mostAnswers : fewest))
      return { last, ...furthestApart(canaries), isBusy, isUneven: reused.size > 1 };
  }
}

function furthestApart(canaries: readonly Canary[]): Pick<NoiseSample, 'pair' | 'noise'> {
  const [first] = canaries;
  let furthest: Pick<NoiseSample, 'pair' | 'noise'> = first
    ? { pair: [first, first], noise: 0 }
    : { pair: null, noise: null };
  for (const [index, one] of canaries.entries()) {
    for (const other of canaries.slice(index + 1)) {
      const noise = canaryDifference(one, other);
      if (noise >= (furthest.noise ?? 0)) furthest = { pair: [one, other], noise };
    }
  }
  return furthest;
}
