import { type QuickPickItem, ThemeIcon, commands, window } from 'vscode';
import type { App } from '../../app.ts';
import { commandCategory, commandTitles, type CommandId } from '../../contributions.ts';
import { command } from '../command.ts';

interface ActionItem extends QuickPickItem {
  readonly command: CommandId;
}

/** The main actions, from the status bar. Actions on the current session come first. */
export const showActions = command('cwm.showActions', {
  async ask(app): Promise<CommandId | undefined> {
    const chosen = await window.showQuickPick(mainActions(app), {
      title: commandCategory,
      placeHolder: 'Select an action',
    });
    return chosen?.command;
  },
  async perform(_app, chosen) {
    await commands.executeCommand(chosen);
    return undefined;
  },
});

const action = (command: CommandId, icon: string, description = ''): ActionItem => ({
  label: commandTitles[command],
  description,
  iconPath: new ThemeIcon(icon),
  command,
});

const mainActions = (app: App): ActionItem[] => [
  ...sessionActions(app),
  action('cwm.thaw', 'flame', 'continue from a window'),
  action('cwm.switchSession', 'arrow-swap'),
  action('cwm.newSession', 'add'),
  action('cwm.listWindows', 'list-unordered'),
  action('cwm.status', 'info'),
  action('cwm.usage', 'database'),
  action('cwm.doctor', 'pulse'),
  action('cwm.showLog', 'output'),
];

function sessionActions(app: App): ActionItem[] {
  const { currentSession } = app.state.current;
  if (currentSession.kind !== 'session') return [];
  const { title, lifecycle } = currentSession.session;
  if (lifecycle === 'frozen') return [action('cwm.resume', 'debug-continue', title)];
  if (lifecycle === 'expired')
    return [action('cwm.setExpiry', 'watch', `${title} has expired; it can be opened again`)];
  return [
    action('cwm.send', 'comment', title),
    action('cwm.prime', 'files'),
    action('cwm.freeze', 'archive'),
    action('cwm.checkpoint', 'git-commit'),
  ];
}
