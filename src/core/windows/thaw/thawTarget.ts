import type { RouteInput } from '../../../protocol/api.ts';
import { randomId } from '../../../base/hash.ts';
import { CwmError } from '../../../protocol/errors.ts';
import { maxSessionIdLength, parseSessionId, type SessionId, type WindowName } from '../../../protocol/ids.ts';
import type { Message, Session } from '../../../protocol/schemas/session.ts';
import type { WindowManifest } from '../../../protocol/schemas/window.ts';
import { freeBranchName, headOf, requireMessageOf, switched, withBranchAt } from '../../turns/branchAt.ts';
import type { CoreContext } from '../../context.ts';
import { isOpen, moveLifecycle } from '../../lifecycle.ts';
import { isAtRest } from '../../turns/machine.ts';

/**
 * The session in which a thaw continues. `origin`: the window's own, as itself while it is frozen as this window, else on a branch that ends
 * with the window's last message. `resume`: the same, but only while it is frozen. `copy`: one of its own.
 */
export interface ThawTarget {
  readonly kind: 'origin' | 'resume' | 'copy';
  readonly session: SessionId;
}

/** A copy is made only where the caller asks for one, or where the window's own session cannot continue. */
export async function chooseTarget(
  core: CoreContext,
  name: WindowName,
  { session: own, engine }: WindowManifest,
  input: Omit<RouteInput<'thaw'>, 'prompt'>,
): Promise<ThawTarget> {
  if (input.resume) return { kind: 'resume', session: own };
  const copy = (): ThawTarget => ({ kind: 'copy', session: copyId(core, name, input.session) });
  if (input.copy || input.session !== undefined || input.insist) return copy();
  const origin = await core.store.sessions.get(own);
  if (!origin || !(isOpen(origin) || origin.lifecycle === 'frozen')) return copy();
  // KV of one model server means nothing to another. The folder says nothing: a project that another folder adopted has windows of the old one.
  return origin.engine === (input.engine ?? engine) ? { kind: 'origin', session: own } : copy();
}

function copyId(core: CoreContext, window: string, wanted: string | undefined): SessionId {
  if (wanted !== undefined) return parseSessionId(wanted);
  const stamp = core.clock.now().toISOString().replaceAll(/[-:.]/g, '');
  // Two thaws of one window may fall into the same millisecond.
  const suffix = `-${stamp}-${randomId().slice(0, 4)}`;
  return parseSessionId(`${`thaw-${window}`.slice(0, maxSessionIdLength - suffix.length)}${suffix}`);
}

/**
 * The session that continues, by the kind of target; null: a new one. It stores nothing.
 *
 * @throws CwmError SessionExists (a copy's id is taken), SessionNotFound, InvalidTransition (not frozen as this window; a turn is under way).
 */
export async function requireTarget(
  core: CoreContext,
  { kind, session: id }: ThawTarget,
  window: string,
): Promise<Session | null> {
  const session = await core.store.sessions.get(id);
  if (kind === 'copy') {
    if (session) throw new CwmError('SessionExists', `A session "${id}" exists already.`);
    return null;
  }
  if (!session)
    throw new CwmError('SessionNotFound', `The session "${id}" of this window is gone.`, {
      hint: 'Thaw without "resume".',
    });
  if (session.lifecycle === 'frozen' && session.frozenAs === window) return session;
  if (kind === 'resume')
    throw new CwmError(
      'InvalidTransition',
      `Session "${id}" is not frozen as "${window}", so it cannot be resumed from it.`,
      { hint: 'Thaw without "resume" to continue from the window.' },
    );
  if (isAtRest(session)) return session;
  throw new CwmError('InvalidTransition', `A turn of session "${id}" is under way.`, {
    hint: 'Wait for its end, or thaw into a copy ("--copy").',
  });
}

/**
 * The session as it continues from the window: where it has gone on since, on a branch at the window's last message, which is made once, and
 * nothing is rolled back. It stores nothing.
 *
 * @param standIns in place of messages of the window that are lost.
 */
export async function continued(
  core: CoreContext,
  session: Session,
  { name, mode, messageIds }: WindowManifest,
  standIns: readonly Message[],
): Promise<{ readonly session: Session; readonly isBranched: boolean }> {
  const open: Session = {
    ...session,
    ...(session.lifecycle === 'frozen' && { lifecycle: moveLifecycle('frozen', 'thawed'), frozenAs: null }),
  };
  if (session.frozenAs === name) return { session: open, isBranched: false };
  const last = messageIds.at(-1) ?? null;
  // A clone is there for another continuation of the same text.
  const isOwn = mode === 'clone' ? (branch: string) => isOfWindow(branch, name) : () => true;
  if (headOf(session) === last && isOwn(session.activeBranch)) return { session: open, isBranched: false };
  const there = Object.values(session.branches).find((branch) => branch.head === last && isOwn(branch.name));
  if (there) return { session: switched(open, there.name), isBranched: true };
  const at = standIns.find(({ id }) => id === last) ?? (last && (await requireMessageOf(core, session, last)));
  const branch = branchName(session, name);
  return { session: switched(withBranchAt(open, branch, at), branch), isBranched: true };
}

/** As {@link branchName} makes them. */
const isOfWindow = (branch: string, window: string): boolean =>
  branch.replace(/-\d+$/u, '') === baseOf(window) || branch === baseOf(window);

const baseOf = (window: string): string => window.slice(0, maxSessionIdLength - 4);

/** The window's name, or the first of NAME-2 and so on that no branch has. */
function branchName(session: Session, window: string): string {
  const base = baseOf(window);
  for (let number = 1; ; number++) {
    const name = number === 1 ? base : `${base}-${number}`;
    if (!Object.hasOwn(session.branches, name)) return freeBranchName(session, name);
  }
}
