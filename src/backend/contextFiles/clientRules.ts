import { relative, sep } from 'node:path';
import type { ExcludedPaths } from '../../core/ports/contextFiles.ts';
import { ignoredBy, rulesOf } from './ignoreLists.ts';

/** Says who leaves a path out besides git; null for a path that nobody leaves out. */
export type WhoExcludes = (absolutePath: string, isFolder: boolean) => string | null;

/** The rules of a client, which are relative to `cwd` and say nothing about paths outside it. */
export function clientRules(excluded: readonly ExcludedPaths[], cwd: string): WhoExcludes {
  const lists = excluded.map(({ by, rules }) => rulesOf({ folder: '', name: by, text: rules }));
  return (absolutePath, isFolder) => {
    const path = relative(cwd, absolutePath).replaceAll(sep, '/');
    // On another drive of Windows a relative path is absolute.
    if (path === '' || path.startsWith('../') || path.includes(':')) return null;
    return ignoredBy(lists, isFolder ? `${path}/` : path);
  };
}
