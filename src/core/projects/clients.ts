import type { RouteInput, RouteOutput } from '../../protocol/api.ts';
import { parseProjectUri, type ProjectUri } from '../../protocol/ids.ts';
import type { CoreContext } from '../context.ts';
import { candidatesFor } from './knownProjects.ts';
import { currentSessionOf } from './currentSession.ts';
import { resolveProject, withoutContent, type Resolved } from './resolveProject.ts';
import type { SessionContext } from './sessionContextManager.ts';

/** Notes where the caller works, and answers what is there (S2-07). @throws CwmError InvalidDirectory, InvalidParameter, OperationTimeout. */
export async function setWorkingDirectory(
  core: CoreContext,
  input: RouteInput<'setWorkingDirectory'>,
  signal: AbortSignal,
): Promise<RouteOutput<'setWorkingDirectory'>> {
  const { directory, project: named } = input;
  const folder = await folderUri(core, directory, signal);
  const resolved = await readable(core, async () =>
    named === undefined
      ? resolveProject(core, folder, false, signal)
      : resolveProject(core, parseProjectUri(named), true, signal),
  );
  const context = enter(core, directory, resolved);
  return {
    ...(await shown(core, context)),
    autoSwitch: resolved.config?.auto_switch ?? true,
    strictMode: context.isStrict,
    dryRun: resolved.config?.dry_run ?? false,
  };
}

/** Which project a folder belongs to. @throws CwmError InvalidDirectory, InvalidParameter (a bad configuration), OperationTimeout. */
export async function findProject(
  core: CoreContext,
  { folder }: RouteInput<'findProject'>,
  signal: AbortSignal,
): Promise<RouteOutput<'findProject'>> {
  const resolved = await resolveProject(core, await folderUri(core, folder, signal), false, signal);
  const { project, resolution } = resolved;
  const { total } = await core.store.sessions.list({ project, limit: 1, offset: 0 });
  return {
    ...resolution,
    trusted: await core.store.projects.isTrusted(project),
    recorded: await core.store.projects.isRecorded(project),
    sessions: total,
    candidates: total > 0 ? [] : await candidatesFor(core, resolved, signal),
  };
}

const folderUri = async (core: CoreContext, folder: string, signal: AbortSignal): Promise<ProjectUri> =>
  /^[a-z][a-z0-9+.-]+:\/\//i.test(folder) ? parseProjectUri(folder) : core.folders.uriOf(folder, signal);

/** Where the caller works. Asking makes no record of it. */
export async function workingDirectory(core: CoreContext): Promise<RouteOutput<'workingDirectory'>> {
  const context = core.clients.use(core.caller().client);
  return { context: context && (await shown(core, context)) };
}

/** Where every client works. */
export async function listClients(core: CoreContext): Promise<RouteOutput<'listClients'>> {
  return { items: await Promise.all(core.clients.list().map((context) => shown(core, context))) };
}

/** The caller works in this project from now on. */
export function enter(core: CoreContext, directory: string, resolved: Resolved): SessionContext {
  return core.clients.setWorkingDirectory(core.caller().client, {
    workingDirectory: directory,
    resolution: resolved.resolution,
    isStrict: resolved.config?.strict_mode ?? false,
  });
}

async function shown(core: CoreContext, context: SessionContext): Promise<RouteOutput<'listClients'>['items'][number]> {
  const { client, workingDirectory: directory, resolution, currentWindow, openSessions, setAt, lastUsed } = context;
  const current = context.currentSession ?? (await currentSessionOf(core, resolution.project as ProjectUri | null));
  return {
    client,
    workingDirectory: directory,
    configFound: resolution.configPath !== null,
    configPath: resolution.configPath,
    resolution,
    currentSession: current,
    currentWindow,
    openSessions: [...openSessions],
    setAt,
    lastUsed,
  };
}

/** For an agent without what is in a bad file. */
async function readable<T>(core: CoreContext, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw (core.caller().isAgent && withoutContent(error)) || error;
  }
}
