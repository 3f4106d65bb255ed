import { readFile, stat } from 'node:fs/promises';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { decodeText } from '../../base/decodeText.ts';
import { configPath, defaultExcludesFile, parseGitConfig, userConfigFiles } from './gitConfig.ts';
import { rulesOf, type IgnoreRules } from './ignoreLists.ts';

/** All of git's ignore lists that apply to a folder. */
export interface GitLists {
  /** The working tree's root, which paths are relative to. Outside a repository it is the folder itself. */
  readonly root: string;
  /** The weakest first: the user's own list, the repository's unshared one, then those of the folders from the root down. */
  readonly lists: readonly IgnoreRules[];
}

const deepestInclude = 10;

/**
 * Git's three lists for a folder, without the `.gitignore` files in the folder and below it. Git itself is not run, because its
 * settings can name programs.
 */
export async function gitLists(folder: string, env: NodeJS.ProcessEnv = process.env): Promise<GitLists> {
  const repository = await findRepository(folder);
  if (repository === null) return { root: folder, lists: [] };
  const { root, gitFolder } = repository;
  const excludes = await excludesFile([...userConfigFiles(env), join(gitFolder, 'config')], root, env);
  const lists = await Promise.all([
    excludes === null ? null : listAt(excludes, '', "the user's own git ignore list"),
    listAt(join(gitFolder, 'info', 'exclude'), '', '.git/info/exclude'),
    ...foldersBetween(root, folder).map((between) => folderList(root, between)),
  ]);
  return { root, lists: lists.filter((list) => list !== null) };
}

/** The `.gitignore` of one folder; null where it has none. */
export function folderList(root: string, folder: string): Promise<IgnoreRules | null> {
  const inside = relative(root, folder).replaceAll(sep, '/');
  return listAt(join(folder, '.gitignore'), inside, inside === '' ? '.gitignore' : `${inside}/.gitignore`);
}

async function listAt(file: string, folder: string, name: string): Promise<IgnoreRules | null> {
  const text = await textOf(file);
  return text === null ? null : rulesOf({ folder, text, name });
}

/** Null when the file cannot be read: git ignores such a list, too. */
async function textOf(file: string): Promise<string | null> {
  try {
    const decoded = decodeText(await readFile(file));
    return 'text' in decoded ? decoded.text : null;
  } catch {
    return null;
  }
}

interface Repository {
  readonly root: string;
  /** The folder of the repository's settings and `info/exclude`; a linked working tree uses those of the main one. */
  readonly gitFolder: string;
}

async function findRepository(folder: string): Promise<Repository | null> {
  for (let root = folder; ; root = dirname(root)) {
    const gitFolder = await gitFolderOf(join(root, '.git'));
    if (gitFolder !== null) return { root, gitFolder };
    if (dirname(root) === root) return null;
  }
}

/** `.git` is a folder. In a submodule or a linked working tree it is a file that names the folder. */
async function gitFolderOf(path: string): Promise<string | null> {
  const found = await stat(path).catch(() => null);
  if (!found) return null;
  const text = found.isDirectory() ? '' : ((await textOf(path)) ?? '');
  const named = /^gitdir:\s*(.+?)\s*$/m.exec(text)?.[1];
  const folder = named === undefined ? path : resolve(dirname(path), named);
  const common = await textOf(join(folder, 'commondir'));
  return common === null ? folder : resolve(folder, common.trim());
}

/** The folders above `folder`, from the root down. */
function foldersBetween(root: string, folder: string): string[] {
  const between: string[] = [];
  for (let above = folder; above !== root;) between.unshift((above = dirname(above)));
  return between;
}

/** The last settings file that has the setting decides. Without one it is git's default; null when the user set it to nothing. */
async function excludesFile(files: readonly string[], root: string, env: NodeJS.ProcessEnv): Promise<string | null> {
  let found: string | null = null;
  for (const file of files) found = (await excludesIn(file, deepestInclude)) ?? found;
  if (found === null) return defaultExcludesFile(env);
  return found === '' ? null : configPath(found, root);
}

async function excludesIn(file: string, depth: number): Promise<string | null> {
  const text = depth === 0 ? null : await textOf(file);
  if (text === null) return null;
  const { excludesFile, includes } = parseGitConfig(text);
  let found = excludesFile;
  for (const include of includes) found = (await excludesIn(configPath(include, dirname(file)), depth - 1)) ?? found;
  return found;
}
