import { formatBytes } from '../../base/format.ts';
import { CwmError, toCwmError } from '../../protocol/errors.ts';
import { hasCode, type Files } from './files.ts';
import { isRefusal } from './refusal.ts';

/** Whether the operation that failed was a read or a change. */
export type Access = 'read' | 'write';

/** The room that is left on a file system; null when that is not known. */
export interface RoomLeft {
  readonly bytes: number | null;
  readonly files: number | null;
}

const fullCodes: readonly unknown[] = ['ENOSPC', 'EDQUOT'];

export const isFull = (error: unknown): error is Error =>
  error instanceof Error && 'code' in error && fullCodes.includes(error.code);

/** Null when the file system cannot be asked; the error itself then has to say enough. */
export async function roomLeft(files: Files, directory: string): Promise<RoomLeft | null> {
  try {
    return { bytes: await files.freeBytes(directory), files: await files.freeFiles(directory) };
  } catch {
    return null;
  }
}

/**
 * A failure of a store operation as {@link CwmError}: full disk StorageFull, no permission WriteFailed or ReadFailed with a hint.
 *
 * @param left of the directory's file system after the failure; tells used-up inodes from a full disk. Default: not known.
 */
export function storageError(
  error: unknown,
  access: Access,
  directory: string,
  left: RoomLeft | null = null,
): CwmError {
  const code = error instanceof Error && 'code' in error ? error.code : null;
  // An AbortError has a code too, a number.
  if (error instanceof CwmError || typeof code !== 'string') return toCwmError(error);
  if (isFull(error)) return full(error, code, directory, left);
  const what = access === 'write' ? 'write to' : 'read';
  const hint = hintFor(code, directory);
  return new CwmError(
    access === 'write' ? 'WriteFailed' : 'ReadFailed',
    `Could not ${what} the storage directory ${directory} (${code}).`,
    hint === null ? { cause: error } : { cause: error, hint },
  );
}

function full(error: Error, code: string, directory: string, left: RoomLeft | null): CwmError {
  if (code === 'EDQUOT') {
    return new CwmError('StorageFull', `Your disk quota for the storage directory ${directory} is used up.`, {
      cause: error,
      hint: 'Free some of your disk space, or ask for a larger quota, and try again; nothing was changed.',
    });
  }
  if (left?.files === 0) {
    const free = left.bytes === null ? '' : `, although ${formatBytes(left.bytes)} are free`;
    return new CwmError(
      'StorageFull',
      `The file system of the storage directory ${directory} cannot take another file${free}: it has no inodes left.`,
      { cause: error, hint: 'Delete files that you do not need on it and try again; nothing was changed.' },
    );
  }
  return new CwmError('StorageFull', `The disk of the storage directory ${directory} is full.`, { cause: error });
}

/** Whether the system refuses to write there, or has no room, which says nothing about reading. */
export const isUnwritable = (error: unknown): boolean => isRefusal(error) || hasCode(error, 'ENOSPC', 'EDQUOT', 'EIO');

function hintFor(code: string, directory: string): string | null {
  switch (code) {
    case 'EACCES':
    case 'EPERM':
      return `Give your user read and write permission on ${directory} and everything in it.`;
    case 'EROFS':
      return 'The file system is mounted read-only: choose another storage directory, or mount it writable.';
    case 'EMFILE':
    case 'ENFILE':
      return 'Too many files are open on this machine; try again in a moment.';
    case 'ELOOP':
      return 'A file of the store was replaced by a symbolic link; put the file itself back.';
    default:
      return null;
  }
}
