import { homedir } from 'node:os';
import { join } from 'node:path';
import { absolutePath } from '../client/absolutePath.ts';

const folder = 'context-window-manager';

/** The storage directory: `--storage`, else `CWM_STORAGE`, else this user's own data directory on this system. Absolute. */
export function storagePath(given: string | undefined, env: NodeJS.ProcessEnv, cwd: string): string {
  const named = given ?? env['CWM_STORAGE'];
  return named ? absolutePath(named, cwd) : defaultStoragePath(env);
}

function defaultStoragePath(env: NodeJS.ProcessEnv): string {
  if (process.platform === 'win32') return join(env['LOCALAPPDATA'] ?? join(homedir(), 'AppData', 'Local'), folder);
  if (process.platform === 'darwin') return join(homedir(), 'Library', 'Application Support', folder);
  return join(env['XDG_DATA_HOME'] || join(homedir(), '.local', 'share'), folder);
}
