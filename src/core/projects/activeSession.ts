import type { RouteInput, RouteOutput } from '../../protocol/api.ts';
import { toCwmError } from '../../protocol/errors.ts';
import { parseProjectUri, parseSessionId } from '../../protocol/ids.ts';
import type { Session } from '../../protocol/schemas/session.ts';
import type { CoreContext } from '../context.ts';
import { requireSession } from '../session.ts';

/**
 * Makes it the one that its project was left with. It is there whether or not that can be kept.
 *
 * @returns what the user should know.
 */
export async function leaveActive(
  core: CoreContext,
  { id, project }: Pick<Session, 'id' | 'project'>,
): Promise<string[]> {
  if (project === null) return [];
  try {
    await core.store.setActiveSession(project, id);
    return [];
  } catch (error) {
    return [`Could not save this as the folder's current session: ${toCwmError(error).message}`];
  }
}

/** The session a project was left with; one that is gone by now counts as none. */
export async function activeSession(
  core: CoreContext,
  input: RouteInput<'activeSession'>,
): Promise<RouteOutput<'activeSession'>> {
  const id = await core.store.activeSession(parseProjectUri(input.project));
  return { session: id && (await core.store.getSession(id)) };
}

/** @throws CwmError InvalidSessionId, SessionNotFound. */
export async function activateSession(
  core: CoreContext,
  input: RouteInput<'activateSession'>,
): Promise<RouteOutput<'activateSession'>> {
  const session = input.session === null ? null : await requireSession(core, parseSessionId(input.session));
  await core.store.setActiveSession(parseProjectUri(input.project), session && session.id);
  return { session };
}
