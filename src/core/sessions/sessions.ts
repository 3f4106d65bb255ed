import { randomId } from '../../base/hash.ts';
import type { RouteInput, RouteOutput } from '../../protocol/api.ts';
import { CwmError } from '../../protocol/errors.ts';
import {
  parseDescription,
  parseProjectUri,
  parseSessionId,
  parseTags,
  type WindowName,
  type SessionId,
} from '../../protocol/ids.ts';
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
import { changedSampling, settingsOfNew } from '../turns/settings.ts';
import { onBase } from './base/onBase.ts';
import { dropCheckpoint } from '../windows/rollingCheckpoint.ts';
import { deleteIfThere } from '../windows/windows.ts';

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
  const asksForOwn =
    !defaults.sharesBase || input.withoutBase || input.systemPrompt !== undefined || input.tools !== undefined;
  const base = asksForOwn ? null : await onBase(core, project, { engine, givesTools: defaults.givesTools });
  const lineage = base?.lineage ?? newLineage();
  const expiry = input.expiresAt === undefined ? {} : { expiresAt: parseExpiry(core, input.expiresAt) };
  const createdAt = core.clock.now().toISOString();
  const session = newSession({
    id,
    title,
    ...(input.description !== undefined && { description: parseDescription(input.description) }),
    ...(input.tags && { tags: parseTags(input.tags) }),
    settings: await settingsOfNew(core, input, defaults),
    project,
    engine,
    lineage: lineage.id,
    createdAt,
    ...expiry,
    ...base?.start,
    ...(base && { settings: { ...base.start.settings, ...ownSettings(input) } }),
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

/**
 * Moves a session to the trash. Its windows need its messages: with windows it is refused, unless `cascade` deletes them too
 * (EC-031). @throws CwmError InvalidSessionId, SessionNotFound, InvalidTransition.
 */
export async function deleteSession(
  core: CoreContext,
  input: RouteInput<'deleteSession'>,
  signal: AbortSignal,
): Promise<RouteOutput<'deleteSession'>> {
  const id = parseSessionId(input.session);
  return core.turns.run(
    id,
    async () => {
      const leave = await leavingProject(core, await requireSession(core, id));
      const deletedWindows: WindowName[] = [];
      // Before its windows: what a checkpoint names would outlive them.
      if (input.cascade) await core.space.lock.run(() => dropCheckpoint(core, id), signal);
      for (;;) {
        const windows = await deleteUnlessNeeded(core, id, signal);
        if (windows.length === 0) break;
        if (!input.cascade) {
          throw new CwmError(
            'InvalidTransition',
            `Session "${id}" still has ${windows.length} windows: ${windows.slice(0, 3).join(', ')}.`,
            {
              hint: 'Delete its windows first, or delete it together with them.',
            },
          );
        }
        for (const window of windows) if (await deleteIfThere(core, window, signal)) deletedWindows.push(window);
      }
      core.trackers.forget(id);
      core.conversations.forget(id);
      await leave();
      return deletedWindows.length === 0 ? {} : { deletedWindows };
    },
    signal,
  );
}

/**
 * Deletes the session when it has no windows. No window of it can be cloned or restored from the trash during this call.
 * @returns the windows that it has.
 */
function deleteUnlessNeeded(core: CoreContext, id: SessionId, signal: AbortSignal): Promise<WindowName[]> {
  return core.space.lock.run(async () => {
    const windows = await windowsOf(core, id);
    if (windows.length === 0) {
      await dropCheckpoint(core, id);
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
