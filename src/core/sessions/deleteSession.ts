import type { ParsedInput, RouteOutput } from '../../protocol/api.ts';
import { CwmError } from '../../protocol/errors.ts';
import { parseSessionId, type SessionId, type WindowName } from '../../protocol/ids.ts';
import type { Session } from '../../protocol/schemas/session.ts';
import type { CoreContext } from '../context.ts';
import { requireSession } from '../session.ts';
import { forgetSessionKv, kvOfSession } from '../windows/sessionKv.ts';
import { deleteIfThere } from '../windows/windows.ts';

/**
 * Moves a session to the trash, or with `forever` deletes its text, too. Its KV goes from every tier that can be reached, with its checkpoint; the
 * answer names what could not be reached. Its windows need its messages: with windows it is refused, unless `cascade` deletes them too (EC-031).
 *
 * @throws CwmError InvalidSessionId, SessionNotFound, InvalidTransition, AccessDenied (an agent deletes nothing forever).
 */
export const deleteSession = (
  core: CoreContext,
  input: ParsedInput<'deleteSession'>,
  signal: AbortSignal,
): Promise<RouteOutput<'deleteSession'>> => deleteSessionIf(core, input, async () => true, signal);

/** As {@link deleteSession}. @param isStill false leaves the session as it is: it may have changed since the caller looked. */
export async function deleteSessionIf(
  core: CoreContext,
  input: ParsedInput<'deleteSession'>,
  isStill: (session: Session) => Promise<boolean>,
  signal: AbortSignal,
): Promise<RouteOutput<'deleteSession'>> {
  const id = parseSessionId(input.session);
  if (input.forever && core.caller().isAgent)
    throw new CwmError('AccessDenied', 'A program cannot delete a session forever.', { hint: 'Leave out "forever".' });
  const { deletedWindows, kv } = await core.turns.run(
    id,
    async () => {
      const session = await requireSession(core, id);
      if (!(await isStill(session))) return { deletedWindows: [], kv: null };
      const leave = await leavingProject(core, session);
      const kv = await kvOfSession(core, session);
      const deletedWindows: WindowName[] = [];
      // Before its windows: what a checkpoint names would outlive them.
      if (input.cascade) await core.space.lock.run(() => core.store.checkpoints.delete(id), signal);
      for (;;) {
        const windows = await deleteUnlessNeeded(core, id, signal);
        if (windows.length === 0) break;
        if (!input.cascade) {
          const more = windows.length > 3 ? ` and ${windows.length - 3} more` : '';
          throw new CwmError(
            'InvalidTransition',
            `Session "${id}" still has windows: ${windows.slice(0, 3).join(', ')}${more}.`,
            { hint: 'Delete its windows first, or delete it together with them ("--cascade" of cwm).' },
          );
        }
        for (const window of windows) if (await deleteIfThere(core, window, signal)) deletedWindows.push(window);
      }
      core.trackers.forget(id);
      core.conversations.forget(id);
      await leave();
      return { deletedWindows, kv };
    },
    signal,
  );
  if (kv === null) return {};
  if (input.forever) await core.store.trash.removeSession(id);
  const { bytesFreed, unreached } = await forgetSessionKv(core, kv, signal);
  return {
    ...(deletedWindows.length > 0 && { deletedWindows }),
    ...(bytesFreed > 0 && { kvBytesFreed: bytesFreed }),
    ...(unreached.length > 0 && { unreached: [...unreached] }),
  };
}

/**
 * Deletes the session when it has no windows. No window of it can be cloned or restored from the trash during this call.
 * @returns the windows that it has.
 */
function deleteUnlessNeeded(core: CoreContext, id: SessionId, signal: AbortSignal): Promise<WindowName[]> {
  return core.space.lock.run(async () => {
    const windows = await windowsOf(core, id);
    if (windows.length === 0) {
      await core.store.checkpoints.delete(id);
      await core.store.sessions.delete(id);
    }
    return windows;
  }, signal);
}

async function windowsOf(core: CoreContext, session: SessionId): Promise<WindowName[]> {
  const names: WindowName[] = [];
  for (;;) {
    const page = await core.store.windows.list({
      session,
      sortBy: 'name',
      order: 'asc',
      limit: 100,
      offset: names.length,
    });
    names.push(...page.items.map((window) => window.name));
    if (names.length >= page.total || page.items.length === 0) return names;
  }
}

/** Called before the deletion, because a deleted session is no project's current one. @returns what to do after the deletion. */
async function leavingProject(core: CoreContext, session: Session): Promise<() => Promise<void>> {
  const project = session.project;
  if (project === null || (await core.store.projects.currentSession(project)) !== session.id) return async () => {};
  return async () => {
    const isStillCurrent = (await core.store.projects.currentSession(project)) === null;
    if (isStillCurrent) await core.store.projects.setCurrentSession(project, null);
  };
}
