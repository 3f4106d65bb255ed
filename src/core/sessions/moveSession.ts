import type { RouteInput, RouteOutput } from '../../protocol/api.ts';
import { CwmError } from '../../protocol/errors.ts';
import { parseProjectUri, parseSessionId, type SessionId } from '../../protocol/ids.ts';
import type { Session } from '../../protocol/schemas/session.ts';
import type { CoreContext } from '../context.ts';
import { adoptProject, noteNewProject } from '../projects/knownProjects.ts';
import { resolveProject } from '../projects/resolveProject.ts';
import { requireSession } from '../session.ts';
import { isAtRest } from '../turns/machine.ts';
import { dropCheckpoint } from '../windows/checkpoints/rollingCheckpoint.ts';
import { adoptNotes } from './memory/notes.ts';
import { recordProject } from './openProject.ts';

/**
 * A person moves one session to another project, or out of all projects. Its windows follow it, and its KV stays as it is: it has the salt that it
 * began with. Where it was the current session of the project that it leaves, that one has none. The current session of the other one stays; where
 * there is none, this one is it. In a project that is not recorded it has no checkpoint.
 *
 * @throws CwmError InvalidSessionId, SessionNotFound, InvalidParameter (no URI of a project, a bad configuration), InvalidTransition (an answer
 *   comes, tool calls wait for the user, or it is the base of its project), OperationTimeout.
 */
export async function moveSession(
  core: CoreContext,
  input: RouteInput<'moveSession'>,
  signal: AbortSignal,
): Promise<RouteOutput<'moveSession'>> {
  const id = parseSessionId(input.session);
  await requireSession(core, id);
  // A folder below one that has a configuration belongs to the project of that one.
  const into =
    input.project === null ? null : (await resolveProject(core, parseProjectUri(input.project), false, signal)).project;
  // A drop in a tree must not wait for an answer, and then move a session that its user is reading elsewhere.
  if (core.running.has(id)) throw busy(id);
  const moved = await core.turns.run(id, () => moveTo(core, id, into, signal), signal);
  await leaveUnrecorded(core, moved, signal);
  return moved;
}

async function moveTo(
  core: CoreContext,
  id: SessionId,
  into: Session['project'],
  signal: AbortSignal,
): Promise<Session> {
  const { projects, sessions } = core.store;
  const session = await requireSession(core, id);
  const from = session.project;
  if (from === into) return session;
  if (!isAtRest(session)) throw busy(id);
  if (from !== null && (await projects.base(from))?.session === id) {
    throw new CwmError('InvalidTransition', `Session "${id}" is the base of its project, and stays there.`, {
      hint: 'Move a session that began with it, or make a base in the other project.',
    });
  }
  const isCurrent = from !== null && (await projects.currentSession(from)) === id;
  const next = { ...session, project: into, version: session.version + 1 };
  // First: a crash in between leaves a project without a current session, and not with one of another project.
  if (isCurrent) await projects.setCurrentSession(from, null);
  await sessions.update(next);
  if (into !== null && (await projects.currentSession(into)) === null) await projects.setCurrentSession(into, id);
  await noteNewProject(core, into, signal);
  core.clients.closed(id);
  return next;
}

/** As {@link adoptProject}. Sessions that come into a project that is not recorded lose their checkpoints. */
export async function adoptSessions(
  core: CoreContext,
  input: RouteInput<'adoptProject'>,
  signal: AbortSignal,
): Promise<RouteOutput<'adoptProject'>> {
  const adopted = await adoptProject(core, input, signal, (from, into) => adoptNotes(core, from, into));
  const project = parseProjectUri(adopted.project);
  if (!(await core.recording.isRecorded(project))) await recordProject(core, { project, recorded: false }, signal);
  return adopted;
}

/** Nothing of a project that is not recorded is saved without being asked for, nor is what came along. */
async function leaveUnrecorded(core: CoreContext, { id, project }: Session, signal: AbortSignal): Promise<void> {
  if (project !== null && !(await core.recording.isRecorded(project))) await dropCheckpoint(core, id, signal);
}

const busy = (id: SessionId): CwmError =>
  new CwmError('InvalidTransition', `Session "${id}" is in the middle of a turn, so that it cannot move now.`, {
    hint: 'Wait for its answer, or stop it; decide on tool calls that wait.',
  });
