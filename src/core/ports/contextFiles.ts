import type { ContextFile } from '../../protocol/schemas/session.ts';

export interface ReadFiles {
  /** Sorted by path, each once. Paths are relative to `cwd` where they lie below it, with `/` between their parts. */
  readonly files: readonly ContextFile[];
  /** The paths that were left out, and why, in plain words. */
  readonly skipped: readonly { readonly path: string; readonly why: string }[];
}

/** Paths that a client leaves out of folders besides those that git ignores. */
export interface ExcludedPaths {
  /** Who leaves them out, for people: `VS Code's "files.exclude"`. */
  readonly by: string;
  /** In the form of a `.gitignore` in `cwd`. */
  readonly rules: string;
}

/**
 * Who chose the paths. A folder's own configuration was perhaps written by a stranger: no link leads its paths out of the folder, and they name no
 * file that probably holds secrets.
 */
export type NamedBy = 'user' | 'configuration';

/** Reads files and folders that the user gives as context. `.gitignore` is respected; binary and very large files are skipped. */
export interface ContextFileReader {
  /**
   * @param namedBy default: the user.
   * @throws CwmError PathNotFound when a path does not exist, ReadFailed when one cannot be read.
   */
  read(
    paths: readonly string[],
    cwd: string,
    excluded: readonly ExcludedPaths[],
    signal: AbortSignal,
    namedBy?: NamedBy,
  ): Promise<ReadFiles>;
}
