import { randomId } from '../../../base/hash.ts';
import type { RouteInput, RouteOutput } from '../../../protocol/api.ts';
import { CwmError, nullOn, toCwmError } from '../../../protocol/errors.ts';
import { parseProjectUri, parseSessionId, parseWindowName, type ProjectUri } from '../../../protocol/ids.ts';
import type { ProjectBase } from '../../../protocol/schemas/projectConfig.ts';
import { newSession, type Session } from '../../../protocol/schemas/session.ts';
import type { SessionSettings } from '../../../protocol/schemas/sessionSettings.ts';
import type { CoreContext } from '../../context.ts';
import { newLineage } from '../../ports/lineages.ts';
import type { ReadFiles } from '../../ports/contextFiles.ts';
import type { Reporter } from '../../ports/reporter.ts';
import { projectDefaults } from '../../projects/projectDefaults.ts';
import { resolveProject } from '../../projects/resolveProject.ts';
import { addFiles } from '../../turns/prime.ts';
import { settingsOfNew } from '../../turns/settings.ts';
import { freeze } from '../../windows/freeze.ts';
import { pinWindow } from '../../windows/pinWindow.ts';
import { deleteIfThere } from '../../windows/windows.ts';
import { changesOf } from './baseChanges.ts';
import { baseFilesOf, readBaseContent, systemHash, type BaseContent } from './baseContent.ts';

/** How sessions that hold a base are marked in lists. */
const baseTag = 'base';

/**
 * The base of a project, and what changed on the disk since it was made.
 *
 * @throws CwmError InvalidParameter (a bad configuration).
 */
export async function projectBase(
  core: CoreContext,
  input: RouteInput<'projectBase'>,
  signal: AbortSignal,
): Promise<RouteOutput<'projectBase'>> {
  const { project, config } = await resolveProject(core, parseProjectUri(input.project), false, signal);
  const base = await core.store.projects.base(project);
  if (!base) return { project, base, changes: null, sessions: 0 };
  const sessions = (await sessionsOn(core, project)).filter((session) => session.base === base.window).length;
  return { project, base, changes: await changesOf(core, project, { base, config }, signal), sessions };
}

/**
 * Makes the base of a project, or makes it again where its files changed: from the first difference on, since what stands before is found in the
 * model server's cache. Sessions stay on the base that they began with.
 *
 * @throws CwmError InvalidParameter (nothing to make it from, a bad configuration), PathNotFound, ContextTooLong, StorageFull, Exhausted and
 *   those of the engine; the base of before stays then.
 */
export async function makeProjectBase(
  core: CoreContext,
  input: RouteInput<'makeProjectBase'>,
  signal: AbortSignal,
  reporter: Reporter,
): Promise<RouteOutput<'makeProjectBase'>> {
  const { project, config, resolution } = await resolveProject(core, parseProjectUri(input.project), false, signal);
  if (config?.isolation === 'session') throw isolated();
  const before = await core.store.projects.base(project);
  const paths = input.paths ?? before?.paths ?? null;
  const memories = input.memories ?? before?.memories ?? false;
  const content = await readBaseContent(core, project, { config, paths, memories, before }, signal);
  const started = await startBase(
    core,
    { project, name: resolution.name, before, content, engine: input.engine },
    signal,
  );
  const { session, notes } = started;
  const window = parseWindowName(session.id);
  const make = async () => {
    const limit = input.maxTokens ?? config?.budget?.base_tokens;
    const read = async (): Promise<ReadFiles> => content;
    const primed = await addFiles(
      core,
      { session: session.id, engine: undefined, maxTokens: limit, read },
      signal,
      reporter,
    );
    const receipt = await freeze(core, { session: session.id, window }, signal, reporter);
    core.holders.took(session.engine, session.id);
    await pinWindow(core, { window, pinned: true });
    const manifest = await core.store.windows.get(window);
    if (!manifest) throw new CwmError('WindowNotFound', `The window "${window}" was deleted while the base was made.`);
    const taken = new Set(primed.files.map(({ path }) => path));
    const base: ProjectBase = {
      window,
      session: session.id,
      lineage: session.lineage,
      engine: manifest.engine,
      model: manifest.model.id,
      tokens: manifest.tokens.count,
      files: baseFilesOf(content.files.filter(({ path }) => taken.has(path))),
      system: systemHash(content.system),
      paths: paths && [...paths],
      ...(memories && { memories }),
      madeAt: manifest.createdAt,
    };
    await core.store.projects.setBase(project, base);
    return { base, receipt, primed };
  };
  const { base, receipt, primed } = await make().catch(async (error: unknown) => {
    await remove(core, { session: session.id, window });
    throw error;
  });
  // From here on the project names the new base, so nothing that fails may remove it.
  const unremoved = before ? await forgetUnused(core, before, signal).then(() => [], stays(before)) : [];
  const { skipped, promptTokens, cachedTokens, timeToFirstTokenMs } = primed;
  const allNotes = [...notes, ...primed.notes, ...unremoved];
  return { project, base, receipt, skipped, promptTokens, cachedTokens, timeToFirstTokenMs, notes: allNotes };
}

const stays =
  ({ window }: ProjectBase) =>
  (error: unknown): string[] => [
    `The window "${window}" of the base before could not be deleted: ${toCwmError(error).message}`,
  ];

/** New sessions of the project have none any more. Sessions on it stay as they are, and its window with them. */
export async function deleteProjectBase(
  core: CoreContext,
  input: RouteInput<'deleteProjectBase'>,
  signal: AbortSignal,
): Promise<RouteOutput<'deleteProjectBase'>> {
  const { project } = await resolveProject(core, parseProjectUri(input.project), false, signal);
  const base = await core.store.projects.base(project);
  if (!base) throw new CwmError('WindowNotFound', `${project} has no base.`, { hint: '"cwm base make" makes one.' });
  await core.store.projects.setBase(project, null);
  await forgetUnused(core, base, signal);
  return { project, window: base.window };
}

const isolated = (): CwmError =>
  new CwmError('InvalidParameter', 'The project\'s .cwm/config.json has "isolation": "session".', {
    hint: 'With a base, the sessions of a project share KV. Set "isolation" to "project" for that.',
  });

interface BaseStart {
  readonly project: ProjectUri;
  readonly name: string;
  readonly before: ProjectBase | null;
  readonly content: BaseContent;
  readonly engine: string | undefined;
}

/** The session that the base is a window of, in the lineage of the base before. */
async function startBase(
  core: CoreContext,
  { project, name, before, content, engine }: BaseStart,
  signal: AbortSignal,
): Promise<{ readonly session: Session; readonly notes: readonly string[] }> {
  const defaults = await projectDefaults(core, project, signal);
  const spec = engine ?? defaults.engine ?? before?.engine ?? core.engines.defaultSpec;
  core.engines.get(spec);
  const id = parseSessionId(`base-${randomId()}`);
  const lineage = before ? await nullOn(core.store.lineages.get(before.lineage), 'Corrupted') : null;
  const ofBase = lineage ?? newLineage();
  if (!lineage) await core.store.lineages.create(ofBase);
  const session = newSession({
    id,
    title: `Base of ${name}`,
    tags: [baseTag],
    settings: await settingsOfNew(core, {}, { ...defaults, systemPrompt: systemOf(defaults, content.system) }),
    project,
    engine: spec,
    lineage: ofBase.id,
    createdAt: core.clock.now().toISOString(),
  });
  await core.space.sessions.take(() => core.store.sessions.create(session));
  return { session, notes: defaults.notes };
}

/** The rules were read with the files, so that both are of one moment. */
const systemOf = (
  { systemPrompt }: Pick<SessionSettings, 'systemPrompt'>,
  system: string | null,
): SessionSettings['systemPrompt'] =>
  systemPrompt && system !== null ? { ...systemPrompt, text: system } : systemPrompt;

/** Deletes a base that no session began with, unless somebody continued its session or made other windows of it. */
async function forgetUnused(core: CoreContext, base: ProjectBase, signal: AbortSignal): Promise<void> {
  // A session that was moved to another project still has its salt, and shares its KV.
  const isUsed = (await sessionsOn(core)).some((session) => session.base === base.window);
  await core.turns.run(
    base.session,
    async () => {
      if (isUsed || !(await isOnlyBase(core, base))) {
        await core.space.lock.run(() => core.store.windows.setPinned(base.window, false)).catch(() => undefined);
        return;
      }
      await deleteIfThere(core, base.window, signal).catch(() => false);
      await nullOn(core.store.sessions.delete(base.session), 'SessionNotFound');
    },
    signal,
  );
}

/** Whether the base's session is as it was frozen, and has no other window. A session that cannot be read may have words of somebody's. */
async function isOnlyBase({ store }: CoreContext, { session: id, window }: ProjectBase): Promise<boolean> {
  const session = await nullOn(store.sessions.get(id), 'Corrupted');
  const isAsFrozen = session?.lifecycle === 'frozen' && session.frozenAs === window;
  if (!isAsFrozen) return false;
  const { items } = await store.windows.list({ session: id, sortBy: 'name', order: 'asc', limit: 2, offset: 0 });
  return items.every(({ name }) => name === window);
}

async function remove(core: CoreContext, { session, window }: Pick<ProjectBase, 'session' | 'window'>): Promise<void> {
  await deleteIfThere(core, window, new AbortController().signal).catch(() => false);
  await core.store.sessions.delete(session).catch(() => undefined);
}

/** Those of the project; default: of all. */
async function sessionsOn({ store }: CoreContext, project?: ProjectUri): Promise<Session[]> {
  const found: Session[] = [];
  const of = project === undefined ? {} : { project };
  for (;;) {
    const { items, total } = await store.sessions.list({ ...of, limit: 100, offset: found.length });
    found.push(...items);
    if (items.length === 0 || found.length >= total) return found;
  }
}
