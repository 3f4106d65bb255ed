import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import type { ExtensionContext } from 'vscode';
import { setting } from './settings.ts';

/** Where everything is kept: what the setting says, with `~` for the home directory, else the extension's own storage. */
export function storageDirectory(context: ExtensionContext): string {
  const chosen = setting('cwm.storageDirectory').trim();
  if (chosen === '') return context.globalStorageUri.fsPath;
  const path = chosen === '~' || chosen.startsWith('~/') ? join(homedir(), chosen.slice(1)) : chosen;
  return isAbsolute(path) ? path : join(homedir(), path);
}
