import { randomId } from '../../base/hash.ts';
import type { RouteInput, RouteOutput } from '../../protocol/api.ts';
import { CwmError } from '../../protocol/errors.ts';
import { parseDescription, parseProjectUri, parseSessionId, parseTags } from '../../protocol/ids.ts';
import { newSession, type Session } from '../../protocol/schemas/session.ts';
import type { SessionSettings } from '../../protocol/schemas/sessionSettings.ts';
import type { CoreContext } from '../context.ts';
import { newLineage } from '../ports/lineages.ts';
import { expireDue, parseExpiry } from './expiry.ts';
import { parsePage } from '../../protocol/paging.ts';
import { makeCurrent } from '../projects/currentSession.ts';
import { noteNewProject } from '../projects/knownProjects.ts';
import { projectDefaults, type ProjectDefaults } from '../projects/projectDefaults.ts';
import { requireSession } from '../session.ts';
import { changedSampling, settingsOfNew, updateSession } from '../turns/settings.ts';
import { dropCheckpoint } from '../windows/checkpoints/rollingCheckpoint.ts';
import { onBase } from './base/onBase.ts';

/**
 * Starts open. In a project with a base it begins with that and shares its KV, unless it has a system prompt or tools of its own; else it is empty, under a salt of its own. @throws CwmError InvalidSessionId, InvalidParameter (bad engine, or a bad configuration of the project), SessionExists (id
 * taken), Exhausted.
 */
export async function createSession(
  core: CoreContext,
  input: RouteInput<'createSession'>,
  signal: AbortSignal = new AbortController().signal,
): Promise<RouteOutput<'createSession'>> {
  const defaults = await projectDefaults(core, input.project ? parseProjectUri(input.project) : null, signal);
  return core.space.sessions.take(async (limitNotes) => {
    const session = await createSessionNow(core, input, defaults);
    const notes = [...limitNotes, ...defaults.notes, ...(await makeCurrent(core, session))];
    await noteNewProject(core, session.project, signal);
    return notes.length === 0 ? session : { ...session, notes };
  });
}

async function createSessionNow(
  core: CoreContext,
  input: RouteInput<'createSession'>,
  defaults: ProjectDefaults,
): Promise<Session> {
  const id = parseSessionId(input.id ?? randomId());
  const title = parseDescription(input.title ?? '') || id;
  const engine = input.engine ?? defaults.engine ?? core.engines.defaultSpec;
  core.engines.get(engine);
  const project = input.project ? parseProjectUri(input.project) : null;
  const memory = input.memory ?? defaults.memory;
  const memories = input.memories ?? defaults.memories;
  const asksForOwn =
    !defaults.sharesBase ||
    input.withoutBase ||
    input.systemPrompt !== undefined ||
    input.tools !== undefined ||
    // Its rules stand in front of what a base begins with.
    memory?.vmMode === 'strict';
  const base = asksForOwn ? null : await onBase(core, project, { engine, givesTools: defaults.givesTools });
  const lineage = base?.lineage ?? newLineage();
  const expiry = input.expiresAt === undefined ? {} : { expiresAt: parseExpiry(core, input.expiresAt) };
  const createdAt = core.clock.now().toISOString();
  const session = newSession({
    id,
    title,
    ...(input.description !== undefined && { description: parseDescription(input.description) }),
    ...(input.tags && { tags: parseTags(input.tags) }),
    ...(input.recorded === false && { recorded: false }),
    settings: await settingsOfNew(core, input, defaults),
    project,
    engine,
    lineage: lineage.id,
    createdAt,
    ...expiry,
    ...base?.start,
    ...(base && {
      settings: {
        ...base.start.settings,
        ...(memory && { memory }),
        ...(memories && { memories }),
        ...ownSettings(input),
      },
    }),
  });
  if (await core.store.sessions.get(id)) throw new CwmError('SessionExists', `A session "${id}" exists already.`);
  await core.store.lineages.create(lineage);
  await core.store.sessions.create(session, base?.content);
  return session;
}

/** What a session on a base may have of its own: it changes no prompt. */
const ownSettings = ({ sampling, mode, role }: RouteInput<'createSession'>): Partial<SessionSettings> => ({
  ...(sampling && { sampling: changedSampling({}, sampling) }),
  ...(mode && { mode }),
  ...(role && { role }),
});

/** As {@link updateSession}. A session that is not recorded any more loses its checkpoint. @throws CwmError AccessDenied (a program says whether it is). */
export async function changeSession(
  core: CoreContext,
  input: RouteInput<'updateSession'>,
  signal: AbortSignal,
): Promise<RouteOutput<'updateSession'>> {
  if (input.recorded !== undefined && core.caller().isAgent)
    throw new CwmError('AccessDenied', 'A program does not decide whether a session is recorded.', {
      hint: 'Leave out "recorded".',
    });
  const changed = await updateSession(core, input, signal);
  if (input.recorded === false && !input.preview) await dropCheckpoint(core, changed.id, signal);
  return changed;
}

/** @throws CwmError InvalidSessionId, SessionNotFound, Corrupted. */
export async function getSession(
  core: CoreContext,
  input: RouteInput<'getSession'>,
): Promise<RouteOutput<'getSession'>> {
  return asItIs(core, await requireSession(core, parseSessionId(input.session)));
}

/** The record, with the phase of this moment and the answer that comes. */
function asItIs(core: CoreContext, session: Session): RouteOutput<'getSession'> {
  const turn = core.underWay.get(session.id);
  if (!turn?.answer || turn.session.version !== session.version) return session;
  return { ...turn.session, answering: turn.answer.begun.answer.id };
}

export async function listSessions(
  core: CoreContext,
  input: RouteInput<'listSessions'>,
): Promise<RouteOutput<'listSessions'>> {
  const { limit, offset } = parsePage(input, 50);
  await expireDue(core);
  const { items, total } = await core.store.sessions.list({
    ...(input.project !== undefined && { project: parseProjectUri(input.project) }),
    ...(input.withoutProject === true && { project: null }),
    ...(input.lifecycle !== undefined && { lifecycle: input.lifecycle }),
    ...(input.model !== undefined && { model: input.model }),
    ...(input.search !== undefined && { search: input.search }),
    limit,
    offset,
  });
  return { items: items.map((session) => asItIs(core, session)), total, hasMore: offset + items.length < total };
}
