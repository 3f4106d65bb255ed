import { CwmError, isCwmError } from '../../protocol/errors.ts';
import type { ProjectUri } from '../../protocol/ids.ts';
import type { ProjectConfig, ProjectResolution } from '../../protocol/schemas/projectConfig.ts';
import type { CoreContext } from '../context.ts';

/** Which project a folder belongs to, with what the project's own file says of it. */
export interface Resolved {
  readonly project: ProjectUri;
  readonly resolution: ProjectResolution;
  /** Null: it has no file. */
  readonly config: ProjectConfig | null;
}

/**
 * The first tier that has an answer: a project that the caller names, the nearest configuration above the folder, what the store knows of the
 * folder, the folder itself. A configuration that exists and is bad ends it: no other tier is asked.
 *
 * @param isExplicit whether the caller names the project itself, and not a folder to look from.
 * @throws CwmError InvalidParameter (a bad configuration), OperationTimeout.
 */
export async function resolveProject(
  core: CoreContext,
  given: ProjectUri,
  isExplicit: boolean,
  signal: AbortSignal,
): Promise<Resolved> {
  const folder = await core.folders.canonical(given, signal);
  const found = await core.folders.config(folder, signal);
  const project = isExplicit || !found ? folder : found.root;
  const tier = isExplicit
    ? 'explicit'
    : found
      ? 'config'
      : (await core.store.projects.known(folder)) !== null
        ? 'registry'
        : 'default';
  return {
    project,
    resolution: {
      tier,
      project,
      name: found?.config.project.name ?? nameOfFolder(project),
      id: found?.config.project.id ?? null,
      configPath: found?.path ?? null,
    },
    config: found?.config ?? null,
  };
}

/** What a program learns of a bad configuration: that it is bad, and nothing that is in it. Null: the error is another one. */
export function withoutContent(error: unknown): CwmError | null {
  const path = isCwmError(error, 'InvalidParameter') ? error.context?.['path'] : undefined;
  if (typeof path !== 'string') return null;
  return new CwmError('InvalidParameter', `${path} is not used, since it is wrong.`, { context: { path } });
}

/** The folder's own name, as people know it. */
export function nameOfFolder(project: ProjectUri): string {
  const last = project.slice(project.lastIndexOf('/') + 1);
  try {
    return decodeURIComponent(last) || project;
  } catch {
    return last;
  }
}
