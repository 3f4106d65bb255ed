import { CwmError, draftKept, toCwmError } from '../../protocol/errors.ts';
import type { Message } from '../../protocol/schemas/session.ts';
import { mediaWords } from './pictures.ts';

/**
 * The error of a turn that got no answer, for the one who sent its text, which is stored as the session's draft.
 *
 * @param said what the draft has the text of.
 */
export function withDraft(error: unknown, said: readonly Pick<Message, 'content'>[]): CwmError {
  const failure = toCwmError(error);
  if (failure.context?.['draftKept'] === true) return failure;
  const lacking = mediaWords(said);
  return new CwmError(failure.name, failure.message, {
    hint: `${failure.hint} ${draftKept}${lacking === null ? '' : `, without its ${lacking}`}.`.trimStart(),
    context: { ...failure.context, draftKept: true },
    cause: error,
  });
}
