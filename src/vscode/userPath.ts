import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';

/** A path from a setting, absolute: `~` is the home directory, and what is relative lies there too. */
export function userPath(path: string): string {
  if (path === '~') return homedir();
  if (path.startsWith('~/') || path.startsWith('~\\')) return join(homedir(), path.slice(2));
  return isAbsolute(path) ? path : join(homedir(), path);
}
