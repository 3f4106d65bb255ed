import { type QuickPickItem, ThemeIcon, commands, window } from 'vscode';
import type { CommandId, CommandInput } from '../../contributions.ts';
import { command } from '../command.ts';
import { pickWindow } from '../../pick/pickWindow.ts';

type WindowCommand = 'cwm.thaw' | 'cwm.clone' | 'cwm.showReceipt' | 'cwm.verify' | 'cwm.deleteWindow';

interface ActionItem extends QuickPickItem {
  readonly command: WindowCommand;
}

const actions: readonly ActionItem[] = [
  { label: 'Thaw', description: 'open it as a new session', iconPath: new ThemeIcon('flame'), command: 'cwm.thaw' },
  {
    label: 'Clone',
    description: 'a second name that shares every block',
    iconPath: new ThemeIcon('repo-forked'),
    command: 'cwm.clone',
  },
  {
    label: 'Show Receipt',
    description: 'what was measured on it',
    iconPath: new ThemeIcon('output'),
    command: 'cwm.showReceipt',
  },
  {
    label: 'Verify',
    description: 'check its files against their checksums',
    iconPath: new ThemeIcon('shield'),
    command: 'cwm.verify',
  },
  { label: 'Delete', iconPath: new ThemeIcon('trash'), command: 'cwm.deleteWindow' },
];

/** All windows, searchable; the chosen one with what can be done with it. */
export const listWindows = command<CommandInput<'cwm.listWindows'>, { window: string; command: CommandId }, undefined>({
  title: 'List Windows',
  async ask(app) {
    const name = await pickWindow(app, 'Windows');
    if (name === undefined) return undefined;
    const action = await window.showQuickPick(actions, { title: name, placeHolder: 'What to do with it' });
    return action === undefined ? undefined : { window: name, command: action.command };
  },
  async perform(_app, request) {
    await commands.executeCommand(request.command, { window: request.window });
    return undefined;
  },
});
