import type { RouteInput, RouteOutput } from '../../../protocol/api.ts';
import { CwmError } from '../../../protocol/errors.ts';
import { parseProjectUri, parseSessionId, type ProjectUri, type SessionId } from '../../../protocol/ids.ts';
import type { Note } from '../../../protocol/memory/records.ts';
import { memoryScopes, type MemoryScope } from '../../../protocol/memory/scopes.ts';
import type { CoreContext } from '../../context.ts';
import {
  changedNote,
  liveNotes,
  newNote,
  requireNote,
  requireRoom,
  scopeOf,
  type LiveNote,
} from '../../memory/notes.ts';
import { resolveProject } from '../../projects/resolveProject.ts';
import { requireSession } from '../../session.ts';

/** Whose memories are meant. */
interface Place {
  readonly project: ProjectUri | null;
  readonly session: SessionId | null;
}

/** Ids are checked also where the scope needs none, so that a mistake is seen. */
async function placeOf(
  core: CoreContext,
  { project, session }: RouteInput<'listMemories'>,
  signal: AbortSignal,
): Promise<Place> {
  return {
    session: session === undefined ? null : parseSessionId(session),
    project:
      project === undefined ? null : (await resolveProject(core, parseProjectUri(project), false, signal)).project,
  };
}

/** The user's and those of tools, then the project's and the session's where they are named. @throws CwmError InvalidSessionId, InvalidParameter, SessionNotFound. */
export async function listMemories(
  core: CoreContext,
  input: RouteInput<'listMemories'>,
  signal: AbortSignal,
): Promise<RouteOutput<'listMemories'>> {
  const { project, session } = await placeOf(core, input, signal);
  const ofSession = session === null ? [] : (await core.memories.of(await requireSession(core, session))).notes;
  const versions = [
    ...(await core.store.memory.notes(null)),
    ...(project === null ? [] : await core.store.memory.notes(project)),
    ...ofSession,
  ];
  const rank = ({ id }: LiveNote): number => memoryScopes.indexOf(scopeOf(id));
  return {
    items: liveNotes(versions)
      .sort((one, other) => rank(one) - rank(other))
      .map(shown),
  };
}

/** @throws CwmError InvalidSessionId, InvalidParameter (no text, more than 2 KiB, more than 100 in the scope, a scope without its tool), SessionNotFound. */
export async function remember(
  core: CoreContext,
  { scope, text, tool, ...input }: RouteInput<'remember'>,
  signal: AbortSignal,
): Promise<RouteOutput<'remember'>> {
  const place = await placeOf(core, input, signal);
  const at = core.clock.now().toISOString();
  return shown(await changed(core, scope, place, (versions) => newNote({ scope, text, tool }, versions, at), signal));
}

/** @throws CwmError as {@link remember}; InvalidParameter (no such memory). */
export async function editMemory(
  core: CoreContext,
  { memoryId, text, ...input }: RouteInput<'editMemory'>,
  signal: AbortSignal,
): Promise<RouteOutput<'editMemory'>> {
  const place = await placeOf(core, input, signal);
  const at = core.clock.now().toISOString();
  const change = (versions: readonly Note[]): Note => changedNote(memoryId, text, versions, at);
  return shown({ ...(await changed(core, scopeOf(memoryId), place, change, signal)), text });
}

/** What was forgotten. @throws CwmError as {@link editMemory}. */
export async function forgetMemory(
  core: CoreContext,
  { memoryId, ...input }: RouteInput<'forgetMemory'>,
  signal: AbortSignal,
): Promise<RouteOutput<'forgetMemory'>> {
  const place = await placeOf(core, input, signal);
  const at = core.clock.now().toISOString();
  let before: LiveNote | null = null;
  const change = (versions: readonly Note[]): Note => {
    before = requireNote(memoryId, versions);
    return changedNote(memoryId, null, versions, at);
  };
  await changed(core, scopeOf(memoryId), place, change, signal);
  return shown(before!);
}

/** Makes the next version and stores it, in one step for everybody else. */
async function changed<Changed extends Note>(
  core: CoreContext,
  scope: MemoryScope,
  { project, session }: Place,
  change: (versions: readonly Note[]) => Changed,
  signal: AbortSignal,
): Promise<Changed> {
  if (scope === 'session') {
    if (session === null) throw unnamed('session');
    return core.turns.run(
      session,
      async () => {
        const found = await requireSession(core, session);
        const note = change((await core.memories.of(found)).notes);
        await core.memories.record(found, [note]);
        return note;
      },
      signal,
    );
  }
  if (scope === 'project' && project === null) throw unnamed('project');
  let made: Changed | null = null;
  await core.store.memory.changeNotes(scope === 'project' ? project : null, (versions) => (made = change(versions)));
  return made!;
}

const unnamed = (scope: MemoryScope): CwmError =>
  new CwmError('InvalidParameter', `A memory of a ${scope} needs the ${scope} that it is for.`);

const shown = ({ id, text, version, at, tool }: LiveNote): RouteOutput<'remember'> => ({
  id,
  scope: scopeOf(id),
  text,
  version,
  at,
  ...(tool !== undefined && { tool }),
});

/**
 * The memories of one project become those of another, which has them under ids of its own; one that says the same is there already. The first
 * project forgets them last, so that an interrupted call loses none, and the next one finishes it.
 *
 * @returns how many there were. @throws CwmError InvalidParameter (more than a project has); nothing is changed then.
 */
export async function adoptNotes(
  { store, clock }: Pick<CoreContext, 'store' | 'clock'>,
  from: ProjectUri,
  into: ProjectUri,
): Promise<number> {
  const { memory } = store;
  const leaving = from === into ? [] : liveNotes(await memory.notes(from));
  if (leaving.length === 0) return 0;
  const there = await memory.notes(into);
  const said = new Set(liveNotes(there).map(({ text }) => text));
  const coming = leaving.filter(({ text }) => !said.has(text));
  requireRoom('project', there, coming.length);
  for (const { text, at } of coming)
    await memory.changeNotes(into, (versions) => newNote({ scope: 'project', text }, versions, at));
  const now = clock.now().toISOString();
  for (const { id } of leaving) await memory.changeNotes(from, (versions) => changedNote(id, null, versions, now));
  return leaving.length;
}
