import type { RouteInput, RouteOutput } from '../../protocol/api.ts';
import { toCwmError } from '../../protocol/errors.ts';
import { parseProjectUri, parseSessionId, type ProjectUri, type SessionId } from '../../protocol/ids.ts';
import type { Session } from '../../protocol/schemas/session.ts';
import type { CoreContext } from '../context.ts';
import { requireSession } from '../session.ts';

/**
 * Makes a session the current one of its project. A failure to save that does not make the session unusable.
 *
 * @returns notes for the user.
 */
export async function makeCurrent(
  core: CoreContext,
  { id, project }: Pick<Session, 'id' | 'project'>,
): Promise<string[]> {
  if (project === null) return [];
  try {
    await core.store.projects.setCurrentSession(project, id);
    return [];
  } catch (error) {
    return [`Could not save this as the folder's current session: ${toCwmError(error).message}`];
  }
}

/** Null without a project, without a session of it, or when that was deleted. */
export const currentSessionOf = async (
  { store }: Pick<CoreContext, 'store'>,
  project: ProjectUri | null,
): Promise<SessionId | null> => (project === null ? null : store.projects.currentSession(project));

/** The current session of a project, null when there is none or it was deleted, and whether the project is recorded. */
export async function currentSession(
  core: CoreContext,
  input: RouteInput<'currentSession'>,
): Promise<RouteOutput<'currentSession'>> {
  const { projects, sessions } = core.store;
  const project = parseProjectUri(input.project);
  const [id, recorded] = [await projects.currentSession(project), await projects.isRecorded(project)];
  return { session: id && (await sessions.get(id)), recorded };
}

/** @throws CwmError InvalidSessionId, SessionNotFound. */
export async function setCurrentSession(
  core: CoreContext,
  input: RouteInput<'setCurrentSession'>,
): Promise<RouteOutput<'setCurrentSession'>> {
  const session = input.session === null ? null : await requireSession(core, parseSessionId(input.session));
  await core.store.projects.setCurrentSession(parseProjectUri(input.project), session && session.id);
  return { session };
}
