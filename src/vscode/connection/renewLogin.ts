import { homedir } from 'node:os';
import type { ExtensionContext, LogOutputChannel } from 'vscode';
import { renewAtLogin, thisSystem } from '../../setup/atLogin.ts';
import { loginPlatforms } from '../../setup/loginPlatforms.ts';
import { storageDirectory } from '../settings/storageDirectory.ts';
import { loginStart } from './findBackend.ts';

/** After an update of the extension. A system that starts nothing at login is no failure. */
export async function renewLogin(context: ExtensionContext, log: LogOutputChannel): Promise<void> {
  if (!Object.hasOwn(loginPlatforms, process.platform)) return;
  if (await renewAtLogin(thisSystem(homedir(), process.env), loginStart(context), storageDirectory())) {
    log.info('The backend that starts at login is that of this version now.');
  }
}
