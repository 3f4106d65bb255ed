import type { Dirent, Stats } from 'node:fs';
import { lstat, readdir, realpath, stat } from 'node:fs/promises';
import { basename, isAbsolute, join, relative, resolve, sep } from 'node:path';
import type { NamedBy } from '../../core/ports/contextFiles.ts';
import { CwmError } from '../../protocol/errors.ts';
import type { WhoExcludes } from './clientRules.ts';
import { folderList, gitLists } from './gitLists.ts';
import { ignoredBy, type IgnoreRules } from './ignoreLists.ts';

/** A file that may become context, and how it was found. */
export interface FoundPath {
  readonly absolutePath: string;
  /** Whether this very path was given, so that neither git nor the client leaves it out. */
  readonly named: boolean;
  /** Why it must not be opened; null when it may be. */
  readonly why: string | null;
  /** Whether it would be read if the user gave this very path, and neither git nor the client leaves it out. */
  readonly canBeNamed: boolean;
}

/** Names that often hold keys or passwords. They are left out of folders, and taken when the user names them. */
const secretNames =
  /^(\.env(\.(?!example$|sample$|template$).*)?|\.npmrc|\.netrc|\.pypirc|id_(rsa|dsa|ecdsa|ed25519)|.*\.(pem|key|p12|pfx|kdbx))$/i;

/** The given files, and everything below the given folders. Paths that git ignores or the client excludes are marked as left out. */
export async function findPaths(
  paths: readonly string[],
  cwd: string,
  whoExcludes: WhoExcludes,
  signal: AbortSignal,
  namedBy: NamedBy = 'user',
): Promise<FoundPath[]> {
  const found: FoundPath[] = [];
  for (const path of paths) {
    signal.throwIfAborted();
    const absolutePath = resolve(cwd, path);
    const stats = await statNamed(absolutePath, path);
    const refused = namedBy === 'user' ? null : await whyNotOfFolder(absolutePath, cwd);
    if (refused !== null) found.push({ absolutePath, named: true, why: refused, canBeNamed: false });
    else if (stats.isDirectory()) found.push(...(await walk(absolutePath, whoExcludes, signal)));
    else
      found.push({ absolutePath, named: true, why: stats.isFile() ? null : 'not a file', canBeNamed: stats.isFile() });
  }
  return found;
}

/** Why a folder's own configuration may not name this path; null where it may. The path exists. */
async function whyNotOfFolder(absolutePath: string, folder: string): Promise<string | null> {
  const real = await realpath(absolutePath);
  const inside = relative(await realpath(folder), real);
  if (inside === '..' || inside.startsWith(`..${sep}`) || isAbsolute(inside)) return 'it leads out of the folder';
  const isSecret = [absolutePath, real].some((path) => whySecret(basename(path)) !== null);
  return isSecret ? 'may hold secrets, so a configuration cannot name it' : null;
}

/** How a path is shown: relative to `cwd` where it lies below it, with `/` between its parts. */
export function shownPath(absolutePath: string, cwd: string): string {
  const path = relative(cwd, absolutePath);
  const shown = path === '' || path.startsWith(`..${sep}`) || isAbsolute(path) ? absolutePath : path;
  return shown.replaceAll(sep, '/');
}

/**
 * Everything below a folder that may become context, and each path that is left out, with the reason. A folder that is left out is one
 * entry.
 *
 * @param mostFiles the walk ends when it has found that many files that can be named.
 */
export async function walk(
  folder: string,
  whoExcludes: WhoExcludes,
  signal: AbortSignal,
  mostFiles = Infinity,
): Promise<FoundPath[]> {
  const { root, lists } = await gitLists(folder);
  const found: FoundPath[] = [];
  let filesFound = 0;
  const leaveOut = (absolutePath: string, why: string): void =>
    void found.push({ absolutePath, named: false, why, canBeNamed: false });
  const visit = async (folder: string, above: readonly IgnoreRules[]): Promise<void> => {
    signal.throwIfAborted();
    const own = await folderList(root, folder);
    const lists = own === null ? above : [...above, own];
    for (const entry of await entriesOf(folder, found)) {
      if (entry.name === '.git') continue;
      if (filesFound >= mostFiles) return;
      const absolutePath = join(folder, entry.name);
      const fromRoot = relative(root, absolutePath).replaceAll(sep, '/');
      const list = ignoredBy(lists, entry.isDirectory() ? `${fromRoot}/` : fromRoot);
      const excluder = list === null ? whoExcludes(absolutePath, entry.isDirectory()) : null;
      if (list !== null) leaveOut(absolutePath, `ignored by git (${list})`);
      else if (excluder !== null) leaveOut(absolutePath, `excluded by ${excluder}`);
      else if (await hasLostName(entry, absolutePath)) leaveOut(absolutePath, 'its name is not UTF-8');
      else if (entry.isDirectory()) await visit(absolutePath, lists);
      else if (entry.isSymbolicLink()) leaveOut(absolutePath, 'a link, which is not followed');
      else if (!entry.isFile()) leaveOut(absolutePath, 'not a file');
      else {
        filesFound++;
        found.push({ absolutePath, named: false, why: whySecret(entry.name), canBeNamed: true });
      }
    }
  };
  await visit(folder, lists);
  return found;
}

/** Whether its name has bytes that no text has: under the name that Node.js gives it, nothing is there. */
async function hasLostName(entry: Dirent, path: string): Promise<boolean> {
  if (!entry.name.includes('\uFFFD')) return false;
  return lstat(path).then(
    () => false,
    () => true,
  );
}

/** A folder that cannot be read is an entry that is left out. */
async function entriesOf(folder: string, found: FoundPath[]): Promise<Dirent[]> {
  try {
    return await readdir(folder, { withFileTypes: true });
  } catch (error) {
    const why = `cannot be read (${(error as NodeJS.ErrnoException).code})`;
    found.push({ absolutePath: folder, named: false, why, canBeNamed: false });
    return [];
  }
}

/** Why a file with this name is left out of folders; null where it is not. */
export const whySecret = (name: string): string | null =>
  secretNames.test(name) ? 'may hold secrets; name the file itself to give it all the same' : null;

async function statNamed(absolutePath: string, given: string): Promise<Stats> {
  try {
    return await stat(absolutePath);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') {
      throw new CwmError('PathNotFound', `There is no ${given}.`, { context: { path: given }, cause: error });
    }
    throw new CwmError('ReadFailed', `${given} cannot be read (${code}).`, { context: { path: given }, cause: error });
  }
}
