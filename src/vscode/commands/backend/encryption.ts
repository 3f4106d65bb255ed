import { UIKind, Uri, commands, env, window } from 'vscode';
import { defaultKeyFile, turnEncryption, type EncryptionTarget } from '../../../client/turnEncryption.ts';
import { decryptQuestion, encryptQuestion, turnedSentences, type Question } from '../../../words/encryption.ts';
import type { App } from '../../app.ts';
import { connectOptions } from '../../connection/findBackend.ts';
import { commandTitles, type TurnedEncryption } from '../../contributions.ts';
import { userPath } from '../../settings/userPath.ts';
import { inBackground } from '../../../base/inBackground.ts';
import { showDone } from '../../ui/notifications.ts';
import { command } from '../command.ts';

export const encryptStorage = command('cwm.encryptStorage', {
  async ask(app, { keyFile, confirmed }): Promise<EncryptionTarget | undefined> {
    const now = await app.connection.call('encryption', {});
    if (now.keyFile !== null) return { state: 'on', keyFile: now.keyFile };
    if (confirmed !== true && !(await agrees(encryptQuestion))) return undefined;
    const file = keyFile ?? (await askForKeyFile());
    return file === undefined ? undefined : { state: 'on', keyFile: userPath(file.trim()) };
  },
  progress: () => ({ title: 'Encrypting the storage', cancellable: false }),
  perform: turn,
  show: (app, turned) => inBackground(app.log, 'Showing a key file', offerKeyFile(turned)),
});

export const decryptStorage = command('cwm.decryptStorage', {
  async ask(app, { confirmed }): Promise<EncryptionTarget | undefined> {
    const { state } = await app.connection.call('encryption', {});
    return state === 'off' || confirmed === true || (await agrees(decryptQuestion)) ? { state: 'off' } : undefined;
  },
  progress: () => ({ title: 'Decrypting the storage', cancellable: false }),
  perform: turn,
  show: (app, turned) => showDone(app, turnedText(turned)),
});

const turnedText = (turned: TurnedEncryption): string => turnedSentences(turned, turned.changed).join(' ');

async function turn(app: App, target: EncryptionTarget): Promise<TurnedEncryption> {
  const now = await app.connection.call('encryption', {});
  if (now.state === target.state) return { ...now, changed: false };
  const options = connectOptions(app.context);
  const turned = await app.connection.without((signal) => turnEncryption(options, target, signal));
  return { ...turned, changed: true };
}

async function agrees({ message, detail, yes }: Question): Promise<boolean> {
  return (await window.showWarningMessage(message, { modal: true, detail }, yes)) === yes;
}

const askForKeyFile = (): Thenable<string | undefined> =>
  window.showInputBox({
    title: commandTitles['cwm.encryptStorage'],
    prompt: 'The key file. It is created if it does not exist. Store it apart from copies of the storage.',
    value: defaultKeyFile(),
    ignoreFocusOut: true,
    validateInput: (file) => (file.trim() === '' ? 'Enter a file name.' : null),
  });

async function offerKeyFile(turned: TurnedEncryption): Promise<void> {
  if (turned.keyFile === null) return;
  // Only a local editor can show the file in a file manager.
  const isHere = env.uiKind === UIKind.Desktop && env.remoteName === undefined;
  const choice = isHere ? 'Show Key File' : 'Copy Path';
  if ((await window.showInformationMessage(turnedText(turned), choice)) !== choice) return;
  if (isHere) await commands.executeCommand('revealFileInOS', Uri.file(turned.keyFile));
  else await env.clipboard.writeText(turned.keyFile);
}
