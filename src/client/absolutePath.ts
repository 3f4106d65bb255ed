import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

/**
 * A path as people write it, absolute: what is relative lies in `folder`, and `~` is the home directory, also where no shell has
 * seen to that, as in a setting, in `--storage=~/cwm` or in `embedded:~/model.gguf`.
 */
export function absolutePath(path: string, folder: string): string {
  if (path === '~') return homedir();
  return /^~[/\\]/.test(path) ? join(homedir(), path.slice(2)) : resolve(folder, path);
}
