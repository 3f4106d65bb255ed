import { closeSync, mkdirSync, openSync, renameSync, writevSync } from 'node:fs';
import { dirname } from 'node:path';
import type { EncodedBlock } from './blockFile.ts';

/**
 * Writes a file under a temporary name and renames it. Creates its folders again when somebody deleted them.
 *
 * @param temporary on the same file system; overwritten when a process that died left it.
 */
export function writePiece(path: string, temporary: string, { head, body }: EncodedBlock): void {
  const file = inFolder(temporary, () => openSync(temporary, 'w', 0o600));
  try {
    const sizeBytes = head.length + body.length;
    let at = writevSync(file, [head, body]);
    while (at < sizeBytes) {
      const left = at < head.length ? [head.subarray(at), body] : [body.subarray(at - head.length)];
      at += writevSync(file, left);
    }
  } finally {
    closeSync(file);
  }
  inFolder(path, () => renameSync(temporary, path));
}

/** Tries again in a new folder when the folder of `path` is missing. */
export function inFolder<T>(path: string, write: () => T): T {
  try {
    return write();
  } catch (error) {
    if (!isMissing(error)) throw error;
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    return write();
  }
}

export const isMissing = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === 'ENOENT';

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
