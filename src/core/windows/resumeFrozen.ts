import { CwmError, isCwmError } from '../../protocol/errors.ts';
import { parseSessionId, type WindowName } from '../../protocol/ids.ts';
import type { Receipt } from '../../protocol/schemas/receipt.ts';
import type { CoreContext } from '../context.ts';
import { modelDifference } from '../identity.ts';
import type { Reporter } from '../ports/reporter.ts';
import { requireWindow } from './windows.ts';
import { thaw } from './thaw.ts';

/**
 * Continues a frozen session as itself although nobody asked for a thaw: where the model server is away or has another model, the session stays
 * frozen.
 *
 * @throws CwmError EngineUnavailable, ModelMismatch, and those of {@link thaw}.
 */
export async function resumeUnasked(
  core: CoreContext,
  frozenAs: WindowName,
  signal: AbortSignal,
  reporter: Reporter,
): Promise<Receipt> {
  const manifest = await requireWindow(core, frozenAs);
  const { model } = await core.engines.get(manifest.engine).describe(signal);
  const difference = modelDifference(manifest.model, model);
  if (difference !== null) throw new CwmError('ModelMismatch', `The session stays frozen: ${difference}`);
  return thaw(core, { window: frozenAs, resume: true }, signal, reporter);
}

/**
 * Before a message: a frozen session that it goes to is resumed. Where that is not possible, the text becomes the session's draft.
 *
 * @returns null where there was nothing to resume.
 * @throws CwmError those of {@link resumeUnasked}.
 */
export async function resumeForMessage(
  core: CoreContext,
  input: { readonly session: string; readonly text?: string },
  signal: AbortSignal,
  reporter: Reporter,
): Promise<Receipt | null> {
  const id = parseSessionId(input.session);
  await core.background.giveWay(id, signal);
  const session = await core.store.sessions.get(id);
  if (session?.lifecycle !== 'frozen' || session.frozenAs === null || core.turns.isBusy(id)) return null;
  try {
    return await resumeUnasked(core, session.frozenAs, signal, reporter);
  } catch (error) {
    // Two messages at once: the first one resumes it.
    if (isCwmError(error, 'InvalidTransition')) return null;
    const isKept = input.text !== undefined && isCwmError(error, 'EngineUnavailable', 'ModelMismatch');
    if (isKept) await core.store.sessions.update({ ...session, draft: input.text, version: session.version + 1 });
    throw error;
  }
}
