import type { RouteInput } from '../../../protocol/api.ts';
import { nullOn, toCwmError } from '../../../protocol/errors.ts';
import { parseWindowName } from '../../../protocol/ids.ts';
import type { Receipt } from '../../../protocol/schemas/receipt.ts';
import type { ThawResult } from '../../../protocol/schemas/turn.ts';
import type { CoreContext } from '../../context.ts';
import type { Reporter } from '../../ports/reporter.ts';
import { requireMessage, send } from '../../turns/send.ts';
import { thaw } from '../../windows/thaw/thaw.ts';

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
  const receipt = (await resumedUnasked(core, input, signal)) ?? (await thaw(core, input, signal, reporter));
  if (prompt === undefined) return receipt;
  reporter.progress('Sending the prompt');
  try {
    return { ...receipt, answer: await send(core, { session: receipt.session, text: prompt }, signal, reporter) };
  } catch (error) {
    const { message, hint, code } = toCwmError(error);
    return { ...receipt, notes: [...receipt.notes, `The prompt got no answer: ${message} ${hint} (${code})`] };
  }
}

/** The receipt of the thaw that resumed the session when its folder was opened; null where the window was not opened so. */
async function resumedUnasked(
  core: CoreContext,
  { window, resume, session: wanted, copy, insist }: Omit<RouteInput<'thaw'>, 'prompt'>,
  signal: AbortSignal,
): Promise<Receipt | null> {
  if (copy || insist || wanted !== undefined) return null;
  if (!resume && core.background.isIdle) return null;
  const id = (await nullOn(core.store.windows.get(parseWindowName(window)), 'Corrupted'))?.session;
  if (id === undefined) return null;
  // Later it would be a receipt of what was, not of what is.
  if (!resume && !core.background.isRunning(id)) return null;
  await core.background.giveWay(id, signal);
  const session = await core.store.sessions.get(id);
  const { receipt } = core.warmings.of(id);
  const isResumed = session?.lifecycle === 'thawed' && session.thawedFrom?.window === window;
  return isResumed && receipt?.window === window ? receipt : null;
}
