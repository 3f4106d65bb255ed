import { homedir } from 'node:os';
import { isAbsolute } from 'node:path';
import { CwmError } from '../protocol/errors.ts';

/** Null where there is none: a user id without an entry in /etc/passwd and without `HOME`, as in some containers. */
export function homeDirectoryOrNull(): string | null {
  try {
    const home = homedir();
    return isAbsolute(home) ? home : null;
  } catch {
    return null;
  }
}

/** @throws CwmError InvalidParameter where there is none. */
export function homeDirectory(): string {
  const home = homeDirectoryOrNull();
  if (home !== null) return home;
  throw new CwmError('InvalidParameter', 'This system names no home directory for your user.', {
    hint: 'Set HOME, or name absolute paths, like "--storage /data/cwm".',
  });
}
