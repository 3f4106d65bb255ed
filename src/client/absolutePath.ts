import { join, resolve } from 'node:path';
import { userHome } from './userHome.ts';

/**
 * A path as people write it, made absolute. A relative path starts from `folder`. `~` is the home directory, also where no shell
 * replaces it: in a setting, in `--storage=~/cwm`, in `embedded:~/model.gguf`.
 *
 * @throws CwmError InvalidParameter when the path starts with `~` and there is no home directory.
 */
export function absolutePath(path: string, folder: string): string {
  if (path === '~') return userHome();
  return /^~[/\\]/.test(path) ? join(userHome(), path.slice(2)) : resolve(folder, path);
}
