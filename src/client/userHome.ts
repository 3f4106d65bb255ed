import { homedir } from 'node:os';
import { homeOrNull } from '../base/homeDirectory.ts';
import { CwmError } from '../protocol/errors.ts';

/** Null where there is none. */
export const userHomeOrNull = (): string | null => homeOrNull(homedir);

/** @throws CwmError InvalidParameter where there is none. */
export function userHome(): string {
  const home = userHomeOrNull();
  if (home !== null) return home;
  throw new CwmError('InvalidParameter', 'This system names no home directory for your user.', {
    hint: 'Set HOME, or name absolute paths, like "--storage /data/cwm".',
  });
}
