import { join } from 'node:path';
import { userDataDirectory } from '../base/userDataDirectory.ts';
import { CwmError } from '../protocol/errors.ts';
import { absolutePath } from './absolutePath.ts';
import { userHomeOrNull } from './userHome.ts';

const folder = 'context-window-manager';

/**
 * The storage directory that every client of one user shares: the one that is named (`--storage`, `cwm.storageDirectory`), else
 * `CWM_STORAGE`, else a folder in the user's data directory. Absolute.
 *
 * @param cwd what a relative path starts from.
 * @throws CwmError InvalidParameter when nothing is named and the system names no directory of this user.
 */
export function storagePath(named: string | undefined, env: NodeJS.ProcessEnv, cwd: string): string {
  const path = named || env['CWM_STORAGE'];
  return path ? absolutePath(path, cwd) : defaultStoragePath(env);
}

function defaultStoragePath(env: NodeJS.ProcessEnv): string {
  const data = userDataDirectory({ platform: process.platform, env, home: userHomeOrNull() });
  if (data !== null) return join(data, folder);
  throw new CwmError('InvalidParameter', 'This system names no home directory for your user.', {
    hint: 'Name a storage directory: --storage DIR, CWM_STORAGE, or the setting cwm.storageDirectory.',
  });
}
