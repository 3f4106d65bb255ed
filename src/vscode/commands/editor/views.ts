import { type QuickPickItem, ThemeIcon, commands, env, window } from 'vscode';
import { type CommandId, type CommandInput, type ContextKeys } from '../../contributions.ts';
import type { App } from '../../app.ts';
import { command } from '../command.ts';

export const showLog = command<CommandInput<'cwm.showLog'>, object, undefined>({
  title: 'Show Log',
  ask: async () => ({}),
  async perform(app) {
    app.log.show();
    return undefined;
  },
});

export const openSettings = command<CommandInput<'cwm.openSettings'>, object, undefined>({
  title: 'Open Settings',
  ask: async () => ({}),
  async perform(app) {
    const query = `@ext:${app.context.extension.id}`;
    // Where the extension runs on another machine, its settings about the machine are that one's.
    if (env.remoteName === undefined) await commands.executeCommand('workbench.action.openSettings', query);
    else await commands.executeCommand('workbench.action.openRemoteSettings', { query });
    return undefined;
  },
});

/** Fetches everything anew, starting the backend when it is not running. */
export const refresh = command<CommandInput<'cwm.refresh'>, object, undefined>({
  title: 'Refresh',
  ask: async () => ({}),
  async perform(app) {
    await app.connection.open();
    await app.puller.all();
    return undefined;
  },
});

export const showMore = command<CommandInput<'cwm.showMore'>, { session: string | undefined }, undefined>({
  title: 'Show More',
  ask: async (_app, { session }) => ({ session }),
  async perform(app, { session }) {
    await app.puller.more(session);
    return undefined;
  },
});

export const showAllFolders = scopeCommand('Show Sessions of All Folders', 'all');
export const showThisFolder = scopeCommand('Show Sessions of This Folder', 'folder');

function scopeCommand(title: string, scope: ContextKeys['cwm.scope']) {
  return command<object, object, undefined>({
    title,
    ask: async () => ({}),
    async perform(app) {
      app.state.update({ scope });
      await app.connection.open();
      await app.puller.sessions();
      return undefined;
    },
  });
}

interface ActionItem extends QuickPickItem {
  readonly command: CommandId;
}

/** The main actions, from the status bar: those that fit the active session first. */
export const showActions = command<CommandInput<'cwm.showActions'>, CommandId, undefined>({
  title: 'Context Windows',
  async ask(app) {
    const chosen = await window.showQuickPick(mainActions(app), {
      title: 'Context Windows',
      placeHolder: 'What to do',
    });
    return chosen?.command;
  },
  async perform(_app, chosen) {
    await commands.executeCommand(chosen);
    return undefined;
  },
});

function mainActions(app: App): ActionItem[] {
  const { active } = app.state.current;
  const action = (label: string, icon: string, command: CommandId, description = ''): ActionItem => ({
    label,
    description,
    iconPath: new ThemeIcon(icon),
    command,
  });
  const ofSession =
    active.kind !== 'session'
      ? []
      : active.session.lifecycle === 'frozen'
        ? [action('Resume', 'debug-continue', 'cwm.resume', active.session.title)]
        : [
            action('Send Message', 'comment', 'cwm.send', active.session.title),
            action('Prime from Workspace Files', 'files', 'cwm.prime'),
            action('Freeze', 'archive', 'cwm.freeze'),
            action('Checkpoint', 'git-commit', 'cwm.checkpoint'),
          ];
  return [
    ...ofSession,
    action('Thaw', 'flame', 'cwm.thaw', 'open a window as a new session'),
    action('Switch Session', 'arrow-swap', 'cwm.switchSession'),
    action('New Session', 'add', 'cwm.newSession'),
    action('List Windows', 'list-unordered', 'cwm.listWindows'),
    action('Status', 'info', 'cwm.status'),
    action('Space', 'database', 'cwm.usage'),
    action('Doctor', 'pulse', 'cwm.doctor'),
    action('Show Log', 'output', 'cwm.showLog'),
  ];
}
