import ignore from 'ignore';

/** A .gitignore file: its text and its folder, relative to the workspace folder ('' is the workspace folder). */
export interface IgnoreFile {
  readonly folder: string;
  readonly text: string;
}

/**
 * Tells which paths git ignores. As in git, a rule of a deeper folder wins over a rule of its parent. Paths are relative to the
 * workspace folder, with `/`.
 */
export function gitIgnored(files: readonly IgnoreFile[]): (path: string) => boolean {
  const rules = [...files]
    .sort((a, b) => a.folder.length - b.folder.length)
    .map(({ folder, text }) => ({ prefix: folder === '' ? '' : `${folder}/`, matcher: ignore().add(text) }));
  return (path) => {
    let isIgnored = false;
    for (const { prefix, matcher } of rules) {
      if (!path.startsWith(prefix) || path.length === prefix.length) continue;
      const { ignored, unignored } = matcher.test(path.slice(prefix.length));
      if (ignored) isIgnored = true;
      else if (unignored) isIgnored = false;
    }
    return isIgnored;
  };
}
