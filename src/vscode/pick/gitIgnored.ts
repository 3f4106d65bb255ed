import ignore from 'ignore';

/** A .gitignore file: the folder it is in, relative to the workspace folder and '' for that itself, and its text. */
export interface IgnoreFile {
  readonly folder: string;
  readonly text: string;
}

/**
 * Tells which paths git would leave out. As git does, a rule of a deeper folder wins over one of a folder above. Paths are relative
 * to the workspace folder, with `/`.
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
