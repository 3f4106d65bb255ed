import { isAbsolute } from 'node:path';

/** Node's own answer, as long as it is absolute. Null for a user id without an entry in /etc/passwd and without `HOME`, as in some containers. */
export function homeOrNull(homedir: () => string): string | null {
  try {
    const home = homedir();
    return isAbsolute(home) ? home : null;
  } catch {
    return null;
  }
}
