import type { Canary, CheckResult, Verdict } from '../../protocol/schemas/receipt.ts';
import type { KvRecord } from '../../protocol/schemas/window.ts';
import { mostAnswers } from './askForNoise.ts';
import { canaryDifference, differsGrossly, grossDifference, isBeyondNoise } from './canary.ts';
import type { Measurement } from '../ports/engine.ts';
import { reusedLess } from './reuse.ts';

/** The result of comparing the measured canary with the frozen one. */
export interface CanaryCheck {
  readonly result: CheckResult;
  /** In nats. */
  readonly difference: number | null;
  readonly noise: number | null;
  readonly why: string | null;
  /** Every answer differed, but by no more than the requests of others at the same time can explain. */
  readonly mayBeNoise?: boolean;
}

export interface CanaryComparison {
  readonly frozen: KvRecord['canary'];
  readonly measured: Measurement;
  /** The verdict of reuse alone on the measured request. */
  readonly reused: Verdict;
  /** False when some of the KV that it rests on may have been computed again since the canary was taken, or all after a repair. */
  readonly isExact: boolean;
  /** The engine refused to restore the KV, which may have left it damaged: then fresh computation is in question as well. */
  readonly restoreRejected: boolean;
  /** Repeats the request before a disagreement counts. */
  readonly askAgain: () => Promise<Measurement | null>;
}

const inexactWhy =
  'Some KV was computed again, or others used the server at the freeze, so the last bits may differ by right; only a gross difference counts.';

const unsteadyWhy = 'The engine answers the same request differently each time, so its canary can prove nothing now.';

const unseenReuseWhy =
  'The answer is another than the frozen one, but the engine does not tell whether it reused KV or computed it again.';

const busyWhy =
  'Other clients used the server at the same time, which changes the last bits of its answers, and no answer was the same.';

const rejectedWhy = 'The engine refused the stored KV and computed it again; only a gross difference counts.';

/**
 * A canary over KV that was all reused must answer exactly as when it was frozen, within the engine's own noise. KV that was
 * in part computed again may differ in its last bits, so only a gross difference speaks against it, and only the very same
 * answer for it. KV that was not reused at all is not in question, unless a restore was refused before.
 */
export async function checkCanary(comparison: CanaryComparison): Promise<CanaryCheck> {
  const { frozen: pair, measured, reused, isExact, restoreRejected, askAgain } = comparison;
  if (!pair)
    return notRun('No canary was recorded: the engine gave no usable log-probabilities, or checksums were enough.');
  if (!measured.canary) return notRun('The engine gives no log-probabilities.');
  const isRebuilt = reused === 'rebuilt';
  if (isRebuilt && !restoreRejected) return notRun('Nothing was reused, so there was nothing to compare.');
  const frozen = pair[1];
  const frozenNoise = canaryDifference(...pair);
  if (isRebuilt || !isExact) {
    const difference = canaryDifference(frozen, measured.canary);
    const isSame = !isRebuilt && !isBeyondNoise(difference, frozenNoise);
    if (isSame) return { result: 'agreed', difference, noise: frozenNoise, why: null };
    const result = differsGrossly(frozen, measured.canary) ? 'disagreed' : 'not-run';
    return { result, difference, noise: frozenNoise, why: isRebuilt ? rejectedWhy : inexactWhy };
  }
  const check = await compareExactly({ frozen, frozenNoise, measured, askAgain });
  return check.result === 'disagreed' && reused === 'unobserved' ? { ...check, why: unseenReuseWhy } : check;
}

/**
 * Compares two answers to one request over the same KV, as exactly as the engine's own noise lets it. Another client that uses the server at the
 * moment changes the last bits of its answers, so one answer out of several that is the same is enough: damage gives none. Nothing more
 * is asked once the KV in question is gone: what the engine computes again is not what it reused.
 */
export async function compareExactly({
  frozen,
  frozenNoise,
  measured,
  askAgain,
}: {
  readonly frozen: Canary;
  /** In nats. */
  readonly frozenNoise: number;
  readonly measured: Measurement;
  /** The same once more; null when there is no answer. */
  readonly askAgain: () => Promise<Measurement | null>;
}): Promise<CanaryCheck> {
  const answers: Canary[] = [];
  let least = Infinity;
  let noise = frozenNoise;
  let isBusy = false;
  for (let next: Measurement | null = measured; next?.canary; next = await askAgain()) {
    const { canary, reuse } = next;
    if (reusedLess(reuse, measured.reuse)) {
      isBusy = true;
      break;
    }
    noise = Math.max(noise, ...answers.map((answer) => canaryDifference(canary, answer)));
    answers.push(canary);
    least = Math.min(least, canaryDifference(frozen, canary));
    isBusy ||= reuse.serverIdle === false || next.isGone === true;
    if (!isBeyondNoise(least, frozenNoise))
      return { result: 'agreed', difference: least, noise: frozenNoise, why: null };
    if (noise > grossDifference) return { result: 'not-run', difference: least, noise, why: unsteadyWhy };
    if (answers.length === mostAnswers || next.isGone) break;
  }
  // Noisier than it was at the freeze: what it would hide cannot be told from damage, either way.
  if (!isBeyondNoise(least, noise)) return { result: 'not-run', difference: least, noise, why: unsteadyWhy };
  if (isBusy && !answers.some((answer) => differsGrossly(frozen, answer)))
    return { result: 'not-run', difference: least, noise, why: busyWhy, mayBeNoise: true };
  return { result: 'disagreed', difference: least, noise, why: null };
}

/** How many times more than a fresh computation the reused KV's answer must be off for that to be damage. */
const moreThanRounding = 10;

/**
 * Whether what made a canary disagree is no more than the rounding of KV that was computed again, by a turn or by another
 * window's thaw: then a fresh computation of the context is off by as much.
 *
 * @param fresh asked over newly computed KV, and served from cache like the other two.
 */
export function isExplainedByRounding(frozen: Canary, reused: Canary, fresh: Canary): boolean {
  if (differsGrossly(frozen, reused)) return false;
  return !isBeyondNoise(canaryDifference(frozen, reused), moreThanRounding * canaryDifference(frozen, fresh));
}

const notRun = (why: string): CanaryCheck => ({ result: 'not-run', difference: null, noise: null, why });
