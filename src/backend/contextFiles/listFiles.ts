import { isAbsolute } from 'node:path';
import type { RouteOutput } from '../../protocol/api.ts';
import { CwmError } from '../../protocol/errors.ts';
import { clientRules } from './clientRules.ts';
import { shownPath, walk } from './foundPath.ts';

/** A longer list is no help; the user can choose whole folders. */
const mostFiles = 5000;

/**
 * The files below a folder that a user can name as context: those that neither git ignores nor the client excludes. A likely secret is
 * among them, because a file that is named by itself is read.
 *
 * @param exclude rules in the form of a `.gitignore` in the folder.
 *
 * @throws CwmError InvalidParameter when the folder is not an absolute path, the signal's reason.
 */
export async function listFiles(
  folder: string,
  exclude: string | undefined,
  signal: AbortSignal,
): Promise<RouteOutput<'listFiles'>> {
  if (!isAbsolute(folder)) throw new CwmError('InvalidParameter', '"folder" is not an absolute path.');
  const excluded = exclude === undefined ? [] : [{ by: 'the client', rules: exclude }];
  const found = await walk(folder, clientRules(excluded, folder), signal, mostFiles + 1);
  const files = found.filter(({ canBeNamed }) => canBeNamed).map(({ absolutePath }) => shownPath(absolutePath, folder));
  return { files: files.slice(0, mostFiles), complete: files.length <= mostFiles };
}
