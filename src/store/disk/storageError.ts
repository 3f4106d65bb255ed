import { CwmError, toCwmError } from '../../protocol/errors.ts';

/** Whether the operation that failed was there to read or to change something. */
export type Access = 'read' | 'write';

/** A failure of a store operation as {@link CwmError}: full disk StorageFull, no permission WriteFailed or ReadFailed with a hint. */
export function storageError(error: unknown, access: Access, directory: string): CwmError {
  const code = error instanceof Error && 'code' in error ? error.code : null;
  // An AbortError has a code too, a number.
  if (error instanceof CwmError || typeof code !== 'string') return toCwmError(error);
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new CwmError('StorageFull', `The disk of the storage directory ${directory} is full.`, { cause: error });
  }
  const what = access === 'write' ? 'write to' : 'read';
  const hint = hintFor(code, directory);
  return new CwmError(
    access === 'write' ? 'WriteFailed' : 'ReadFailed',
    `Could not ${what} the storage directory ${directory} (${code}).`,
    hint === null ? { cause: error } : { cause: error, hint },
  );
}

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
