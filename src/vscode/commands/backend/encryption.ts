import { UIKind, Uri, commands, env, window } from 'vscode';
import { defaultKeyFile, turnEncryption, type EncryptionWish } from '../../../client/turnEncryption.ts';
import type { App } from '../../app.ts';
import { inBackground } from '../../ui/background.ts';
import type { CommandInput, TurnedEncryption } from '../../contributions.ts';
import { showDone } from '../../ui/notifications.ts';
import { decryptQuestion, encryptQuestion, turnedText, type Question } from '../../render/encryptionText.ts';
import { connectOptions } from '../../connection/startBackend.ts';
import { userPath } from '../../settings/userPath.ts';
import { command } from '../command.ts';

export const encryptStorage = command<CommandInput<'cwm.encryptStorage'>, EncryptionWish, TurnedEncryption>({
  title: 'Encrypt Storage',
  async ask(app, { keyFile, confirmed }) {
    const now = await app.connection.call('encryption', {});
    if (now.keyFile !== null) return { state: 'on', keyFile: now.keyFile };
    if (confirmed !== true && !(await agrees(encryptQuestion))) return undefined;
    const file = keyFile ?? (await askForKeyFile());
    return file === undefined ? undefined : { state: 'on', keyFile: userPath(file.trim()) };
  },
  progress: () => ({ title: 'Encrypting everything that is kept', subject: '', cancellable: false }),
  perform: turn,
  show: (app, turned) => inBackground(app.log, 'Showing a key file', offerKeyFile(turned)),
});

export const decryptStorage = command<CommandInput<'cwm.decryptStorage'>, EncryptionWish, TurnedEncryption>({
  title: 'Decrypt Storage',
  async ask(app, { confirmed }) {
    const { state } = await app.connection.call('encryption', {});
    return state === 'off' || confirmed === true || (await agrees(decryptQuestion)) ? { state: 'off' } : undefined;
  },
  progress: () => ({ title: 'Decrypting everything that is kept', subject: '', cancellable: false }),
  perform: turn,
  show: (app, turned) => showDone(app, turnedText(turned)),
});

async function turn(app: App, wish: EncryptionWish): Promise<TurnedEncryption> {
  const now = await app.connection.call('encryption', {});
  if (now.state === wish.state) return { ...now, changed: false };
  const options = connectOptions(app.context);
  const turned = await app.connection.without((signal) => turnEncryption(options, wish, signal));
  await app.puller.all();
  return { ...turned, changed: true };
}

async function agrees({ message, detail, yes }: Question): Promise<boolean> {
  return (await window.showWarningMessage(message, { modal: true, detail }, yes)) === yes;
}

const askForKeyFile = (): Thenable<string | undefined> =>
  window.showInputBox({
    title: 'Encrypt Storage',
    prompt: 'The key file. It is made where there is none; keep it apart from copies of the storage.',
    value: defaultKeyFile(),
    ignoreFocusOut: true,
    validateInput: (file) => (file.trim() === '' ? 'Name a file.' : null),
  });

async function offerKeyFile(turned: TurnedEncryption): Promise<void> {
  if (turned.keyFile === null) return;
  // A file manager is at hand only where the files are.
  const isHere = env.uiKind === UIKind.Desktop && env.remoteName === undefined;
  const choice = isHere ? 'Show Key File' : 'Copy Path';
  if ((await window.showInformationMessage(turnedText(turned), choice)) !== choice) return;
  if (isHere) await commands.executeCommand('revealFileInOS', Uri.file(turned.keyFile));
  else await env.clipboard.writeText(turned.keyFile);
}
