import { CwmError } from '../../protocol/errors.ts';
import { hasCode } from './files.ts';
import type { Quarantine } from './quarantine.ts';
import { systemCode } from './refusal.ts';

/**
 * One record of a list. Null when the record is gone, damaged (then it is set aside), from another version or unreadable (then it is noted as a
 * problem of `path`): the list shows the others.
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
    // A machine without handles or memory can read no record at all.
    if (systemCode(error) === null || hasCode(error, 'EMFILE', 'ENFILE', 'ENOMEM')) throw error;
    quarantine.note(path, 'It could not be read.');
    return null;
  }
}

const noted: ReadonlySet<string> = new Set(['UnsupportedSchema', 'AccessDenied']);
const leftOut: ReadonlySet<string> = new Set([...noted, 'SessionNotFound', 'WindowNotFound', 'Corrupted']);
