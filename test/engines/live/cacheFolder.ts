import { homedir } from 'node:os';
import { join } from 'node:path';

/**
 * The folder of the user's cache that holds engines and models for live tests. It is not created here. Everything in it can be
 * deleted at any time while no engine runs; it is built again when it is next needed.
 */
export function enginesFolder(
  env: NodeJS.ProcessEnv = process.env,
  platform: NodeJS.Platform = process.platform,
): string {
  return join(userCacheFolder(env, platform), 'context-window-manager', 'engines');
}

function userCacheFolder(env: NodeJS.ProcessEnv, platform: NodeJS.Platform): string {
  if (platform === 'win32') return env['LOCALAPPDATA'] || join(homedir(), 'AppData', 'Local');
  if (platform === 'darwin') return join(homedir(), 'Library', 'Caches');
  return env['XDG_CACHE_HOME'] || join(homedir(), '.cache');
}

/** The same for the programs that read and drive the control API. */
export function strangersFolder(
  env: NodeJS.ProcessEnv = process.env,
  platform: NodeJS.Platform = process.platform,
): string {
  return join(userCacheFolder(env, platform), 'context-window-manager', 'strangers');
}
