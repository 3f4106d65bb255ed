import type { Stats } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename, isAbsolute, join, relative, resolve, sep } from 'node:path';
import { globby, type GlobEntry } from 'globby';
import { CwmError } from '../../protocol/errors.ts';

/** A file that may become context, and how it came to be looked at. */
export interface FoundPath {
  readonly absolutePath: string;
  /** Whether the user gave this very path, so that no rule about what to leave out applies. */
  readonly named: boolean;
  /** Why it is not even to be opened; null when it may be. */
  readonly why: string | null;
}

/** Names that often hold keys or passwords. They are left out of folders, and taken when the user names them. */
const secretNames =
  /^(\.env(\.(?!example$|sample$|template$).*)?|\.npmrc|\.netrc|\.pypirc|id_(rsa|dsa|ecdsa|ed25519)|.*\.(pem|key|p12|pfx|kdbx))$/i;

/** The paths themselves where they are files, and what git would not ignore below those that are folders. */
export async function findPaths(paths: readonly string[], cwd: string, signal: AbortSignal): Promise<FoundPath[]> {
  const found: FoundPath[] = [];
  for (const path of paths) {
    signal.throwIfAborted();
    const absolutePath = resolve(cwd, path);
    const stats = await statNamed(absolutePath, path);
    if (stats.isDirectory()) found.push(...(await walk(absolutePath)));
    else found.push({ absolutePath, named: true, why: stats.isFile() ? null : 'not a file' });
  }
  return found;
}

/** How a path is shown: relative to `cwd` where it lies below it, with `/` between its parts. */
export function shownPath(absolutePath: string, cwd: string): string {
  const path = relative(cwd, absolutePath);
  const shown = path === '' || path.startsWith(`..${sep}`) || isAbsolute(path) ? absolutePath : path;
  return shown.replaceAll(sep, '/');
}

async function walk(folder: string): Promise<FoundPath[]> {
  const entries: GlobEntry[] = await globby('**', {
    cwd: folder,
    gitignore: true,
    dot: true,
    ignore: ['**/.git', '**/.git/**'],
    onlyFiles: false,
    followSymbolicLinks: false,
    suppressErrors: true,
    objectMode: true,
  });
  return entries
    .filter(({ dirent }) => dirent.isFile() || dirent.isSymbolicLink())
    .map(({ path, dirent }) => ({
      absolutePath: join(folder, path),
      named: false,
      why: dirent.isSymbolicLink() ? 'a link, which is not followed' : whySecret(path),
    }));
}

const whySecret = (path: string): string | null =>
  secretNames.test(basename(path)) ? 'may hold secrets; name the file itself to give it all the same' : null;

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
