import { absolutePath } from '../../client/absolutePath.ts';
import { homeDirectoryOrNull } from '../../client/homeDirectory.ts';

/** A path from a setting, absolute. A relative one starts from the home directory. @throws CwmError InvalidParameter for `~` without one. */
export const userPath = (path: string): string => absolutePath(path, homeDirectoryOrNull() ?? '/');
