import { CwmError, isCwmError, nullOn } from '../../../protocol/errors.ts';
import { parseSessionId, type SessionId, type WindowName } from '../../../protocol/ids.ts';
import type { Receipt } from '../../../protocol/schemas/receipt.ts';
import type { Session } from '../../../protocol/schemas/session.ts';
import type { CoreContext } from '../../context.ts';
import { modelDifference } from '../../identity.ts';
import { moveLifecycle } from '../../lifecycle.ts';
import type { Reporter } from '../../ports/reporter.ts';
import { withDraft } from '../../prompt/withDraft.ts';
import { requireWindow } from '../windows.ts';
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
 * Opens a frozen session whose window was deleted. Its text is the session's own, so that only the KV is gone, which the next message computes.
 *
 * @returns whether that was so.
 */
export const openWithoutWindow = (core: CoreContext, id: SessionId, signal: AbortSignal): Promise<boolean> =>
  core.turns.run(
    id,
    async () => {
      const { sessions, windows } = core.store;
      const session = await sessions.get(id);
      if (session?.lifecycle !== 'frozen' || session.frozenAs === null) return false;
      if ((await windows.get(session.frozenAs)) !== null) return false;
      const lifecycle = moveLifecycle('frozen', 'thawed');
      await sessions.update({ ...session, lifecycle, frozenAs: null, version: session.version + 1 });
      return true;
    },
    signal,
  );

interface Message {
  readonly session: string;
  readonly text?: string;
  /** Refuses what the session could not be asked once it is open. */
  readonly check: (session: Session) => Promise<void>;
}

/**
 * Before a message: a frozen session that it goes to is resumed. Where that is not possible, the text becomes the session's draft.
 *
 * @returns null where there was nothing to resume.
 * @throws CwmError those of {@link resumeUnasked} and of the check; the session stays frozen then.
 */
export async function resumeForMessage(
  core: CoreContext,
  { check, ...input }: Message,
  signal: AbortSignal,
  reporter: Reporter,
): Promise<Receipt | null> {
  const id = parseSessionId(input.session);
  const session = await core.store.sessions.get(id);
  if (session?.lifecycle !== 'frozen' || session.frozenAs === null || core.turns.isBusy(id)) return null;
  // A thaw puts stand-ins in the place of damaged messages, and the operation checks again.
  await nullOn(check(session), 'Corrupted');
  try {
    return await resumeUnasked(core, session.frozenAs, signal, reporter);
  } catch (error) {
    // Two messages at once: the first one resumes it.
    if (isCwmError(error, 'InvalidTransition')) return null;
    if (isCwmError(error, 'WindowNotFound') && (await openWithoutWindow(core, id, signal))) return null;
    // The error that refused the message says more than one of storing the draft.
    const draft = isCwmError(error, 'EngineUnavailable', 'ModelMismatch') ? input.text : undefined;
    const isStored = draft !== undefined && (await storeDraft(core, id, draft, signal).catch(() => false));
    throw isStored ? withDraft(error, []) : error;
  }
}

/** Whether it could be: the session may be gone. Others may have changed the session since the message came. */
const storeDraft = (core: CoreContext, id: SessionId, draft: string, signal: AbortSignal): Promise<boolean> =>
  core.turns.run(
    id,
    async () => {
      const session = await core.store.sessions.get(id);
      if (!session) return false;
      await core.store.sessions.update({ ...session, draft, version: session.version + 1 });
      return true;
    },
    signal,
  );
