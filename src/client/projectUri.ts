import { realpath } from 'node:fs/promises';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseProjectUri, type ProjectUri } from '../protocol/ids.ts';

/**
 * The project of a folder on disk. Its name is the real path, so that all clients name the same project, whichever link they came by. A
 * folder that is gone is named by the given path.
 */
export async function projectUriOfFolder(folder: string): Promise<ProjectUri> {
  const path = await realpath(folder).catch(() => resolve(folder));
  return parseProjectUri(pathToFileURL(path).href);
}

/**
 * The project of a folder in a virtual file system. VS Code writes a URI without a host as `scheme:/path`.
 *
 * @throws CwmError InvalidParameter when it is longer than a project's name may be.
 */
export const projectUriOfVirtualFolder = (uri: string): ProjectUri =>
  parseProjectUri(uri.replace(/^([a-z][a-z0-9+.-]*):\/(?!\/)/i, '$1:///'));
