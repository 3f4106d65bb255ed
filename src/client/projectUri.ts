import { realpath } from 'node:fs/promises';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseProjectUri, type ProjectUri } from '../protocol/ids.ts';

/**
 * The project that a folder on disk is. Named by the real path, so that every client, by whatever link it came there, means the
 * same project; a folder that is gone keeps the name it was given.
 */
export async function projectUriOfFolder(folder: string): Promise<ProjectUri> {
  const path = await realpath(folder).catch(() => resolve(folder));
  return parseProjectUri(pathToFileURL(path).href);
}

/**
 * The project that a folder of a virtual file system is. One without a host is written as `scheme:/path` by VS Code.
 *
 * @throws CwmError InvalidParameter when it is longer than a project's name may be.
 */
export const projectUriOfVirtualFolder = (uri: string): ProjectUri =>
  parseProjectUri(uri.replace(/^([a-z][a-z0-9+.-]*):\/(?!\/)/i, '$1:///'));
