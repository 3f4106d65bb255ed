import { formatTokens } from '../../base/format.ts';
import { CwmError, toCwmError } from '../../protocol/errors.ts';
import type { Generation } from '../ports/engine.ts';
import { cutNotes } from '../prompt/cutPrompt.ts';

/**
 * A model that only thought has given no answer: an empty one is not stored, and the next prompt does not hold it.
 *
 * @throws CwmError EmptyAnswer.
 */
export function requireAnswer(
  { text, reasoning = '', finishReason }: Pick<Generation, 'text' | 'reasoning' | 'finishReason'>,
  maxTokens: number,
): void {
  if (text.trim() !== '' || reasoning.trim() === '') return;
  const limit = formatTokens(maxTokens);
  throw new CwmError(
    'EmptyAnswer',
    finishReason === 'length'
      ? `The model spent all ${limit} of its answer on reasoning and said nothing.`
      : 'The model only reasoned and gave no answer.',
  );
}

/** What the user should know where a crash would have cost more of the answer than it does else. */
export const logNotes = (failure: unknown): string[] =>
  failure === null ? [] : [`While the answer came, it could not be copied to the disk: ${toCwmError(failure).message}`];

/** Warnings about an answer for the user, in plain words. */
export function answerNotes(
  { text, finishReason, cut, notes = [] }: Generation,
  maxTokens: number,
  callsTools = false,
): string[] {
  const limit = formatTokens(maxTokens);
  return [
    ...(finishReason === 'length'
      ? [`The answer was cut at its limit of ${limit} or less: continue it, or allow a longer answer.`]
      : []),
    ...(text.trim() === '' && !callsTools ? ['The model ended its answer at once: the answer is empty.'] : []),
    ...cutNotes(cut),
    ...notes,
  ];
}
