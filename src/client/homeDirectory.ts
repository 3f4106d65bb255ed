import { homedir } from 'node:os';
import { homeOrNull } from '../base/homeDirectory.ts';
import { CwmError } from '../protocol/errors.ts';

/** Null where there is none. */
export const homeDirectoryOrNull = (): string | null => homeOrNull(homedir);

/** @throws CwmError InvalidParameter where there is none. */
export function homeDirectory(): string {
  const home = homeDirectoryOrNull();
  if (home !== null) return home;
  throw new CwmError('InvalidParameter', 'This system names no home directory for your user.', {
    hint: 'Set HOME, or name absolute paths, like "--storage /data/cwm".',
  });
}
