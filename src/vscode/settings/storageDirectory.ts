import type { ExtensionContext } from 'vscode';
import { setting } from './settings.ts';
import { userPath } from './userPath.ts';

/** Where everything is kept: what the setting says, else the extension's own storage. Absolute. */
export function storageDirectory(context: ExtensionContext): string {
  const chosen = setting('cwm.storageDirectory');
  return chosen === '' ? context.globalStorageUri.fsPath : userPath(chosen);
}
