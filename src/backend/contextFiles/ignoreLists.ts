import ignore, { type Ignore } from 'ignore';

/** One of git's lists of what to ignore. */
export interface IgnoreList {
  /** The folder that its rules are relative to: from the root, with `/`; '' for the root itself. */
  readonly folder: string;
  readonly text: string;
  /** Its name for people. */
  readonly name: string;
}

export interface IgnoreRules {
  readonly folder: string;
  readonly name: string;
  readonly rules: Ignore;
}

/** On macOS and Windows `A.txt` and `a.txt` are one file, for git too. */
const ignorecase = process.platform === 'win32' || process.platform === 'darwin';

export const rulesOf = ({ folder, text, name }: IgnoreList): IgnoreRules => ({
  folder,
  name,
  rules: ignore({ ignorecase }).add(text.replace(/^\uFEFF/, '')),
});

/**
 * The list by which git would ignore a path; null where it would not. The folders above the path are not ignored.
 *
 * @param lists the weakest first: of two that name a path, the later one decides.
 * @param path from the root, with `/`, and one at its end for a folder.
 */
export function ignoredBy(lists: readonly IgnoreRules[], path: string): string | null {
  for (const { folder, name, rules } of lists.toReversed()) {
    const prefix = folder === '' ? '' : `${folder}/`;
    const inside = path.slice(prefix.length);
    if (!path.startsWith(prefix) || inside === '') continue;
    const { ignored, unignored } = rules.test(inside);
    if (ignored) return name;
    if (unignored) return null;
  }
  return null;
}
