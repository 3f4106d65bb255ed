import { absolutePath } from '../../client/absolutePath.ts';
import { userHomeOrNull } from '../../client/userHome.ts';

/** A path from a setting, absolute. A relative one starts from the home directory. @throws CwmError InvalidParameter for `~` without one. */
export const userPath = (path: string): string => absolutePath(path, userHomeOrNull() ?? '/');
