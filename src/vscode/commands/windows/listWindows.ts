import { type QuickPickItem, ThemeIcon, commands, window } from 'vscode';
import { commandTitles } from '../../contributions.ts';
import { command } from '../command.ts';
import { pickWindow } from '../../pick/pickWindow.ts';

type WindowCommand = 'cwm.thaw' | 'cwm.thawCopy' | 'cwm.clone' | 'cwm.showReceipt' | 'cwm.verify' | 'cwm.deleteWindow';

interface ActionItem extends QuickPickItem {
  readonly command: WindowCommand;
}

const action = (command: WindowCommand, icon: string, description = ''): ActionItem => ({
  label: commandTitles[command],
  description,
  iconPath: new ThemeIcon(icon),
  command,
});

const actions: readonly ActionItem[] = [
  action('cwm.thaw', 'flame', 'continue from it in its session'),
  action('cwm.thawCopy', 'copy', 'continue from it in a session of its own'),
  action('cwm.clone', 'repo-forked', 'create a second window that shares every KV block'),
  action('cwm.showReceipt', 'output', 'show what was measured on it'),
  action('cwm.verify', 'shield', 'check its files against their checksums'),
  action('cwm.deleteWindow', 'trash'),
];

interface Request {
  readonly window: string;
  readonly command: WindowCommand;
}

/** Lets the user search all windows, and then select an action for one. */
export const listWindows = command('cwm.listWindows', {
  async ask(app): Promise<Request | undefined> {
    const name = await pickWindow(app, 'Windows');
    if (name === undefined) return undefined;
    const action = await window.showQuickPick(actions, { title: name, placeHolder: 'Select an action' });
    return action === undefined ? undefined : { window: name, command: action.command };
  },
  async perform(_app, request) {
    await commands.executeCommand(request.command, { window: request.window });
    return undefined;
  },
});
