import type { RouteInput, RouteOutput } from '../../protocol/api.ts';
import { CwmError, nullOn } from '../../protocol/errors.ts';
import { parseProjectUri, type ProjectUri } from '../../protocol/ids.ts';
import type { KnownProject, ProjectBase, ProjectCandidate } from '../../protocol/schemas/projectConfig.ts';
import type { Session } from '../../protocol/schemas/session.ts';
import type { CoreContext } from '../context.ts';
import { nameOfFolder, resolveProject, type Resolved } from './resolveProject.ts';

const nothing = { remote: null, firstCommit: null };

/** Remembers how to recognise the project in another folder. Its failure costs nobody anything. */
export async function noteProject(
  core: CoreContext,
  { project, resolution }: Resolved,
  signal: AbortSignal,
): Promise<void> {
  try {
    const before = await core.store.projects.known(project);
    // A folder that was only looked at leaves nothing behind.
    if (!before) return;
    // Git takes seconds to find the first commit of a long history, and opening a folder waits for this.
    const hints = before.hints.firstCommit === null ? await core.folders.hints(project, signal) : before.hints;
    const { name, id } = resolution;
    if (same(before, { project, name, id, hints })) return;
    await core.store.projects.note({ project, name, id, hints });
  } catch {
    signal.throwIfAborted();
  }
}

/** The first time that something is stored of a project. */
export async function noteNewProject(
  core: CoreContext,
  project: ProjectUri | null,
  signal: AbortSignal,
): Promise<void> {
  if (project === null || core.caller().isAgent) return;
  if ((await core.store.projects.known(project))?.name === null)
    await noteProject(core, await resolveProject(core, project, true, signal), signal);
}

const same = (one: KnownProject, other: KnownProject): boolean =>
  one.name === other.name &&
  one.id === other.id &&
  one.hints.remote === other.hints.remote &&
  one.hints.firstCommit === other.hints.firstCommit;

/**
 * Projects that may be the same one in another folder: it has the same id in its configuration, the same first commit or the same remote. A fork or
 * a hostile clone has them, too, so nothing is ever taken over without a person who says so.
 */
export async function candidatesFor(
  core: CoreContext,
  { project, resolution }: Resolved,
  signal: AbortSignal,
): Promise<ProjectCandidate[]> {
  const others = (await core.store.projects.list()).filter((known) => known.project !== project);
  if (others.length === 0) return [];
  const hints = await core.folders.hints(project, signal).catch(() => nothing);
  const found: ProjectCandidate[] = [];
  for (const known of others) {
    const why = likeness(known, { project, name: resolution.name, id: resolution.id, hints });
    if (why === null) continue;
    const { total } = await core.store.sessions.list({ project: known.project, limit: 1, offset: 0 });
    if (total === 0) continue;
    const isThere = await core.folders.exists(known.project, signal);
    const name = known.name ?? nameOfFolder(known.project);
    found.push({ project: known.project, name, why, sessions: total, isGone: isThere === false });
  }
  // A folder that is gone was probably moved here.
  return found.sort((a, b) => Number(b.isGone) - Number(a.isGone) || order(a.why, b.why));
}

const reasons = ['id', 'first-commit', 'remote'] as const;
const order = (a: ProjectCandidate['why'], b: ProjectCandidate['why']): number =>
  reasons.indexOf(a) - reasons.indexOf(b);

function likeness(known: KnownProject, own: KnownProject): ProjectCandidate['why'] | null {
  const agree = (one: string | null, other: string | null): boolean => one !== null && one === other;
  if (agree(known.id, own.id)) return 'id';
  if (agree(known.hints.firstCommit, own.hints.firstCommit)) return 'first-commit';
  return agree(known.hints.remote, own.hints.remote) ? 'remote' : null;
}

/** Every project that the store knows, and every one that a session belongs to. */
export async function listProjects(
  core: CoreContext,
  _input: RouteInput<'listProjects'>,
  signal: AbortSignal,
): Promise<RouteOutput<'listProjects'>> {
  const { projects, sessions } = core.store;
  const counts = new Map((await sessions.projects()).map((each) => [each.project, each.sessions]));
  const known = await projects.list();
  const unknown = [...counts.keys()].filter(
    (uri): uri is ProjectUri => uri !== null && known.every(({ project }) => project !== uri),
  );
  const items = [];
  const unlisted = unknown.map((project) => ({
    project,
    name: null,
    id: null,
    currentSession: null,
    isRecorded: true,
  }));
  // One after another: of folders on a drive that does not answer, one takes a thread, and not each of them.
  for (const { project, name, id, currentSession, isRecorded } of [...known, ...unlisted]) {
    const isThere = await core.folders.exists(project, signal);
    items.push({
      project,
      name: name ?? nameOfFolder(project),
      id,
      sessions: counts.get(project) ?? 0,
      isGone: isThere === false,
      currentSession,
      recorded: isRecorded,
    });
  }
  return {
    items: items.sort((a, b) => (a.name < b.name ? -1 : Number(a.name > b.name))),
    withoutProject: counts.get(null) ?? 0,
  };
}

/**
 * A person says that one project is another one: a folder that was moved or renamed, or two that are to be one. The sessions of `from` belong to
 * `project` from then on, and so do their windows. Where one of the two is not recorded, both are not. Trust is about a folder, so it is not taken over.
 *
 * @throws CwmError InvalidParameter (the same project, or one without sessions or memories), and those of the store; an interrupted one is finished by the next call.
 * @param carry brings along what else there is of the project, before its sessions go. @returns how much there was.
 */
export async function adoptProject(
  core: CoreContext,
  input: RouteInput<'adoptProject'>,
  signal: AbortSignal,
  carry: (from: ProjectUri, into: ProjectUri) => Promise<number>,
): Promise<RouteOutput<'adoptProject'>> {
  const into = parseProjectUri(input.project);
  const from = parseProjectUri(input.from);
  if (into === from) throw new CwmError('InvalidParameter', `${into} is one project already.`);
  const { projects } = core.store;
  const [current, base] = [await projects.currentSession(from), await projects.base(from)];
  // It may refuse, and then nothing is changed.
  const memories = await carry(from, into);
  // The sessions come last: whatever interrupts it, the next attempt finds what is left to do.
  if (current !== null && (await projects.currentSession(into)) === null)
    await projects.setCurrentSession(into, current);
  if (base) await adoptBase(core, into, base);
  if (!(await projects.isRecorded(from))) await projects.setRecorded(into, false);
  const moved = await moveSessions(core, { from, into }, signal);
  if (moved === 0 && current === null && !base && memories === 0)
    throw new CwmError('InvalidParameter', `${from} has no session.`);
  await projects.forget(from);
  return { project: into, from, sessions: moved, memories };
}

/** A project has one base: where there is another one already, nothing holds this one's window any more. */
async function adoptBase({ store }: CoreContext, into: ProjectUri, base: ProjectBase): Promise<void> {
  const there = await store.projects.base(into);
  if (!there) return store.projects.setBase(into, base);
  if (there.window !== base.window) await nullOn(store.windows.setPinned(base.window, false), 'WindowNotFound');
}

async function moveSessions(
  core: CoreContext,
  { from, into }: { readonly from: ProjectUri; readonly into: ProjectUri },
  signal: AbortSignal,
): Promise<number> {
  for (let moved = 0; ;) {
    const { items } = await core.store.sessions.list({ project: from, limit: 100, offset: 0 });
    if (items.length === 0) return moved;
    for (const { id } of items) {
      signal.throwIfAborted();
      await core.turns.run(id, () => moveSession(core, id, { from, into }), signal);
      moved++;
    }
  }
}

async function moveSession(
  { store }: CoreContext,
  id: Session['id'],
  { from, into }: { readonly from: ProjectUri; readonly into: ProjectUri },
): Promise<void> {
  const session = await store.sessions.get(id);
  if (session?.project !== from) return;
  await store.sessions.update({ ...session, project: into, version: session.version + 1 });
}
