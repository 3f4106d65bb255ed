import { isAbsolute } from 'node:path';
import type { RouteOutput } from '../../protocol/api.ts';
import { CwmError } from '../../protocol/errors.ts';
import { shownPath, walk } from './foundPath.ts';

/** A longer list is no help; the user can choose whole folders. */
const mostFiles = 5000;

/**
 * The files below a folder that a user can name as context: those that git does not ignore. A likely secret is among them, because a
 * file that is named by itself is read.
 *
 * @throws CwmError InvalidParameter when the folder is not an absolute path, the signal's reason.
 */
export async function listFiles(folder: string, signal: AbortSignal): Promise<RouteOutput<'listFiles'>> {
  if (!isAbsolute(folder)) throw new CwmError('InvalidParameter', '"folder" is not an absolute path.');
  const found = await walk(folder, signal, mostFiles + 1);
  const files = found.filter(({ canBeNamed }) => canBeNamed).map(({ absolutePath }) => shownPath(absolutePath, folder));
  return { files: files.slice(0, mostFiles), complete: files.length <= mostFiles };
}
