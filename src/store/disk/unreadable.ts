import { CwmError } from '../../protocol/errors.ts';
import { hasCode } from './files.ts';
import type { Quarantine } from './quarantine.ts';

/**
 * One record among many: null for what is gone, damaged (and set aside by now), written by another version, or can't be read, which
 * is noted as a problem of `path`. A list shows the rest.
 */
export async function nullIfUnreadable<T>(
  quarantine: Quarantine,
  path: string,
  read: () => Promise<T | null>,
): Promise<T | null> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof CwmError && leftOut.has(error.name)) {
      if (noted.has(error.name)) quarantine.note(path, error.message);
      return null;
    }
    if (!hasCode(error, 'EACCES', 'EPERM', 'ELOOP', 'EISDIR', 'EIO')) throw error;
    quarantine.note(path, 'It could not be read.');
    return null;
  }
}

const noted: ReadonlySet<string> = new Set(['UnsupportedSchema', 'AccessDenied']);
const leftOut: ReadonlySet<string> = new Set([...noted, 'SessionNotFound', 'WindowNotFound', 'Corrupted']);
