import { dirname, join, relative, sep } from 'node:path';
import { whySecret } from './foundPath.ts';
import { folderList, gitLists } from './gitLists.ts';
import { ignoredBy } from './ignoreLists.ts';

/** Why a walk over `folder` would leave out this path below it; null where it would not. It looks at the folders on the way alone. */
export async function whyLeftOut(folder: string, absolutePath: string): Promise<string | null> {
  const { root, lists: above } = await gitLists(folder);
  let lists = above;
  const parts = relative(folder, absolutePath).split(sep);
  for (const [at, name] of parts.entries()) {
    const path = join(folder, ...parts.slice(0, at + 1));
    if (name === '.git') return 'it belongs to git';
    const own = await folderList(root, dirname(path));
    if (own) lists = [...lists, own];
    const fromRoot = relative(root, path).replaceAll(sep, '/');
    const list = ignoredBy(lists, at < parts.length - 1 ? `${fromRoot}/` : fromRoot);
    if (list !== null) return `ignored by git (${list})`;
  }
  return whySecret(parts.at(-1) ?? '') === null ? null : 'it may hold secrets';
}
