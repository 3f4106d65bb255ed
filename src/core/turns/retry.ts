import { retryDelayMs } from '../../base/clock.ts';
import { isCwmError, toCwmError, type CwmError } from '../../protocol/errors.ts';
import type { CoreContext } from '../context.ts';
import type { Reporter } from '../ports/reporter.ts';
import { movePhase, type Turn } from './turn.ts';

/** Tries after the first one (S4-11). */
const mostRetries = 3;
/** A server that wants to be asked later than that is not waited for. */
const longestWaitMs = 60_000;

/**
 * Asks until an answer comes. A failure that will soon be over, before the first piece of an answer, is a `TransientFailure` of the session:
 * the request is sent again after a while, which the server may name. The last one is a `PermanentFailure`.
 *
 * @throws what `ask` threw last, or what `signal` was aborted with.
 */
export async function untilAnswered<T>(
  core: CoreContext,
  turn: Turn,
  reporter: Reporter | undefined,
  signal: AbortSignal,
  ask: () => Promise<T>,
): Promise<T> {
  for (;;) {
    try {
      const answered = await ask();
      turn.failedTries = 0;
      return answered;
    } catch (error) {
      const failure = toCwmError(error);
      // Behind a piece of an answer, another try would give another answer: what came is stored, and can be continued.
      if (signal.aborted || turn.session.phase !== 'AwaitingLLMResponse' || !isTransient(failure)) throw error;
      turn.failedTries++;
      movePhase(core, turn, 'fail');
      const delayMs = waitOf(failure, turn.failedTries);
      if (turn.failedTries > mostRetries || delayMs > longestWaitMs) throw error;
      reporter?.progress(`${failure.message} Trying again in ${Math.max(1, Math.round(delayMs / 1000))} s`);
      await core.sleep(delayMs, signal);
      movePhase(core, turn, 'retry');
    }
  }
}

const isTransient = (failure: CwmError): boolean =>
  failure.context?.['transient'] === true || isCwmError(failure, 'StreamCut');

function waitOf({ context }: CwmError, failedTries: number): number {
  const asked = context?.['retryAfterMs'];
  return typeof asked === 'number' ? asked : retryDelayMs(failedTries, Math.random());
}
