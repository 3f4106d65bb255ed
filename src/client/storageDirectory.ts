import { existsSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { CwmError } from '../protocol/errors.ts';

/** Makes the storage directory, for its user alone, where there is none. @throws CwmError WriteFailed. */
export function makeStorageDirectory(storage: string): void {
  try {
    makeDirectories(storage);
  } catch (error) {
    throw cannotBeWritten(storage, error);
  }
}

export const cannotBeWritten = (storage: string, cause: unknown): CwmError =>
  new CwmError('WriteFailed', `The storage directory ${storage} cannot be written.`, { cause });

/** One directory after another: with `recursive`, Node never returns when a directory below /proc cannot be made. */
function makeDirectories(path: string): void {
  if (existsSync(path)) return;
  makeDirectories(dirname(path));
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    // Another program may have made it at the same time.
    if (!existsSync(path)) throw error;
  }
}
