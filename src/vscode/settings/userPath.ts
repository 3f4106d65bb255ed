import { homedir } from 'node:os';
import { absolutePath } from '../../client/absolutePath.ts';

/** A path from a setting, absolute: what is relative lies in the home directory. */
export const userPath = (path: string): string => absolutePath(path, homedir());
