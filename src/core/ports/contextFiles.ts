import type { ContextFile } from '../../protocol/schemas/session.ts';

export interface ReadFiles {
  /** Sorted by path, each once. Paths are relative to `cwd` where they lie below it, with `/` between their parts. */
  readonly files: readonly ContextFile[];
  /** The paths that were left out, and why, in plain words. */
  readonly skipped: readonly { readonly path: string; readonly why: string }[];
}

/** Reads files and folders that the user gives as context. `.gitignore` is respected; binary and very large files are skipped. */
export interface ContextFileReader {
  /** @throws CwmError PathNotFound when a path does not exist, ReadFailed when one cannot be read. */
  read(paths: readonly string[], cwd: string, signal: AbortSignal): Promise<ReadFiles>;
}
