import { CwmError } from '../../protocol/errors.ts';
import type { PendingCall, PendingTools } from '../../protocol/schemas/toolCall.ts';
import { isUndecided } from './policy.ts';

/** What the user says to a call: it may run, it may not, or the answer to its question. */
export type Decision = Pick<PendingCall, 'decision' | 'reason' | 'answer'>;

/**
 * The calls with this decision on those that are named, or on all that it fits: a question is answered and not approved, a call of a tool
 * the other way round, and anything can be denied. Of several questions, an answer is for the first.
 *
 * @throws CwmError InvalidParameter where it fits none, or does not fit one that is named.
 */
export function decided(pending: PendingTools, named: readonly string[] | undefined, decision: Decision): PendingTools {
  const waiting = pending.calls.filter(isUndecided);
  const foreign = named?.find((call) => !waiting.some(({ id }) => id === call));
  if (foreign !== undefined) {
    throw new CwmError(
      'InvalidParameter',
      `No tool call "${foreign}" waits for a decision. These do: ${waiting.map(({ id }) => id).join(', ')}.`,
    );
  }
  const meant = named ? waiting.filter(({ id }) => named.includes(id)) : waiting;
  const fitting = meant.filter((call) => fits(decision, call));
  if (fitting.length === 0 || (named && fitting.length < meant.length)) throw unfit(decision);
  const chosen = new Set((decision.answer === undefined ? fitting : fitting.slice(0, 1)).map(({ id }) => id));
  return {
    ...pending,
    calls: pending.calls.map((call) => (chosen.has(call.id) ? { ...call, ...decision } : call)),
  };
}

const fits = ({ decision, answer }: Decision, { question }: PendingCall): boolean =>
  decision === 'denied' || (question !== undefined) === (answer !== undefined);

const unfit = ({ answer }: Decision): CwmError =>
  answer === undefined
    ? new CwmError('InvalidParameter', 'The model asks you a question, which is answered and not approved.', {
        hint: 'Answer it ("cwm session answer"), or deny it.',
      })
    : new CwmError('InvalidParameter', 'The call asks no question, so that it cannot be answered.', {
        hint: 'Approve or deny it ("cwm session approve", "cwm session deny").',
      });
