import type { RouteInput, RouteOutput } from '../../protocol/api.ts';
import { parseProjectUri } from '../../protocol/ids.ts';
import type { CoreContext } from '../context.ts';

/** Stores whether the user trusts what a project's files say. @throws CwmError InvalidParameter. */
export async function trustProject(
  core: CoreContext,
  { project, trusted }: RouteInput<'trustProject'>,
): Promise<RouteOutput<'trustProject'>> {
  await core.store.projects.setTrusted(parseProjectUri(project), trusted);
  return { project, trusted };
}
