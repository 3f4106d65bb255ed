import type { RouteInput } from '../../protocol/api.ts';
import { toCwmError } from '../../protocol/errors.ts';
import type { ThawResult } from '../../protocol/schemas/turn.ts';
import type { CoreContext } from '../context.ts';
import type { Reporter } from '../ports/reporter.ts';
import { requireMessage, send } from '../turns/send.ts';
import { thaw } from '../windows/thaw.ts';

/**
 * Opens a window, and then sends the continuation prompt in the opened session, if there is one (S0-05). The thaw is done whatever comes
 * of the prompt: its failure is a note in the receipt, and its text the session's draft.
 *
 * @throws CwmError those of {@link thaw}, InvalidParameter (a prompt that cannot be sent).
 */
export async function thawAndSend(
  core: CoreContext,
  { prompt, ...input }: RouteInput<'thaw'>,
  signal: AbortSignal,
  reporter: Reporter,
): Promise<ThawResult> {
  if (prompt !== undefined) requireMessage(prompt);
  const receipt = await thaw(core, input, signal, reporter);
  if (prompt === undefined) return receipt;
  reporter.progress('Sending the prompt');
  try {
    return { ...receipt, answer: await send(core, { session: receipt.session, text: prompt }, signal, reporter) };
  } catch (error) {
    const { message, hint, code } = toCwmError(error);
    return { ...receipt, notes: [...receipt.notes, `The prompt got no answer: ${message} ${hint} (${code})`] };
  }
}
