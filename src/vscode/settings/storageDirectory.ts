import type { ExtensionContext } from 'vscode';
import { storagePath } from '../../client/storagePath.ts';
import { setting } from './settings.ts';
import { userPath } from './userPath.ts';

/**
 * Where everything is stored: what the setting says, else where the command line looks as well. Absolute.
 *
 * @throws CwmError InvalidParameter where the system names no home directory.
 */
export function storageDirectory(): string {
  const chosen = setting('cwm.storageDirectory');
  return chosen === '' ? storagePath(undefined, process.env, '/') : userPath(chosen);
}

/** The extension's own storage, where versions before 0.2 stored everything; null where the user names a directory. */
export const olderStorageDirectory = (context: ExtensionContext): string | null =>
  setting('cwm.storageDirectory') === '' && !process.env['CWM_STORAGE'] ? context.globalStorageUri.fsPath : null;
