import type { ExtensionContext } from 'vscode';
import { storagePath } from '../../client/storagePath.ts';
import { setting } from './settings.ts';
import { userPath } from './userPath.ts';

/**
 * The storage directory: the setting, else the command line's own default. Absolute.
 *
 * @throws CwmError InvalidParameter when the system has no home directory.
 */
export function storageDirectory(): string {
  const chosen = setting('cwm.storageDirectory');
  return chosen === '' ? storagePath(undefined, process.env, '/') : userPath(chosen);
}

/** The extension's own storage, where versions before 0.2 stored everything; null where the user names a directory. */
export const olderStorageDirectory = (context: ExtensionContext): string | null =>
  setting('cwm.storageDirectory') === '' && !process.env['CWM_STORAGE'] ? context.globalStorageUri.fsPath : null;
