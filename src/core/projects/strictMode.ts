import { coreRoutes, type CoreRouteName } from '../../protocol/api.ts';
import { CwmError } from '../../protocol/errors.ts';
import { parseProjectUri, parseSessionId, parseWindowName, type ProjectUri } from '../../protocol/ids.ts';
import type { CoreContext } from '../context.ts';

/** What chooses a project: it is how a client leaves a strict one. */
const switching: ReadonlySet<CoreRouteName> = new Set(['setWorkingDirectory', 'openProject', 'closeProject']);

/**
 * In a project with `strict_mode`, a client changes only what belongs to that project or to none. Reading is never refused.
 *
 * @throws CwmError OtherProject.
 */
export async function requireOwnProject(core: CoreContext, route: CoreRouteName, input: object): Promise<void> {
  const place = core.clients.peek(core.caller().client);
  if (!place?.isStrict || coreRoutes[route].kind === 'read' || switching.has(route)) return;
  const { project: own, name } = place.resolution;
  for (const project of await projectsNamed(core, input)) {
    if (project === null || project === own) continue;
    throw otherProject(name, project);
  }
}

/** @param name of the project that has `strict_mode`. @param project the other one. */
export const otherProject = (name: string, project: ProjectUri): CwmError =>
  new CwmError('OtherProject', `"${name}" has strict_mode, and this belongs to another project: ${project}.`, {
    context: { project },
  });

/** Of what an operation's input names. What is not there belongs to no project: the operation says so itself. */
async function projectsNamed({ store }: CoreContext, input: object): Promise<(ProjectUri | null)[]> {
  const { session, window, project } = input as Readonly<Record<string, unknown>>;
  const named = (value: unknown, look: (text: string) => Promise<{ project: ProjectUri | null } | null>) =>
    typeof value === 'string' ? [look(value).catch(() => null)] : [];
  const found = await Promise.all([
    ...named(project, async (text) => ({ project: parseProjectUri(text) })),
    ...named(session, async (text) => store.sessions.get(parseSessionId(text))),
    ...named(window, async (text) => store.windows.get(parseWindowName(text))),
  ]);
  return found.map((each) => each?.project ?? null);
}
