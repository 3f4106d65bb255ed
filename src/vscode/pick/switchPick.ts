import {
  type QuickInputButton,
  type QuickPick,
  type QuickPickItem,
  QuickPickItemKind,
  ThemeIcon,
  Uri,
  commands,
  window,
} from 'vscode';
import { toCwmError } from '../../protocol/errors.ts';
import type { Session } from '../../protocol/schemas/session.ts';
import type { App } from '../app.ts';
import { commandTitles, type CommandId } from '../contributions.ts';
import { switchGroups } from '../render/switchGroups.ts';
import { treeRow } from '../render/treeRow.ts';
import { showFailure } from '../ui/notifications.ts';

/** At most this many of this folder, and of all folders. */
const mostListed = 100;

type SwitchItem = QuickPickItem & { readonly session?: Session };
type Button = QuickInputButton & { readonly command: CommandId | 'vscode.openFolder' };

const show: Button = {
  iconPath: new ThemeIcon('comment-discussion'),
  tooltip: commandTitles['cwm.showConversation'],
  command: 'cwm.showConversation',
};
const remove: Button = {
  iconPath: new ThemeIcon('trash'),
  tooltip: commandTitles['cwm.deleteSession'],
  command: 'cwm.deleteSession',
};
const openFolder: Button = {
  iconPath: new ThemeIcon('empty-window'),
  tooltip: 'Open Its Folder in a New Window',
  command: 'vscode.openFolder',
};

/**
 * Lets the user pick a session of this folder or another, or one that was not used for long. The backend searches for what is typed, so that
 * it also finds sessions beyond the first page.
 */
export async function pickToSwitch(app: App): Promise<Session | undefined> {
  // Fetched before the picker opens: a backend that is down fails the command instead of showing an empty list.
  const first = await listed(app, '');
  const pick = window.createQuickPick<SwitchItem>();
  pick.title = commandTitles['cwm.switchSession'];
  pick.placeholder = first.length === 0 ? 'There are no sessions yet' : 'Type to search';
  pick.matchOnDescription = true;
  pick.items = itemsOf(app, first, false);
  const search = searchAsTyped(app, pick, first);
  try {
    return await new Promise((resolve) => {
      pick.onDidAccept(() => resolve(pick.selectedItems[0]?.session));
      pick.onDidTriggerItemButton(({ item, button }) => {
        pick.hide();
        if (item.session) void pressed(item.session, (button as Button).command);
      });
      pick.onDidHide(() => resolve(undefined));
      pick.show();
    });
  } finally {
    search.abort();
    pick.dispose();
  }
}

async function pressed({ id, project }: Session, command: Button['command']): Promise<void> {
  if (command !== 'vscode.openFolder') await commands.executeCommand(command, { session: id });
  else if (project !== null) await commands.executeCommand(command, Uri.parse(project), { forceNewWindow: true });
}

/** This folder's first, even if other folders have newer ones. */
async function listed(app: App, search: string, signal?: AbortSignal): Promise<Session[]> {
  const { project } = app.state.current;
  const page = { limit: mostListed, ...(search !== '' && { search }) };
  const call = (filter: { readonly project?: string }) =>
    app.connection.call('listSessions', { ...page, ...filter }, signal ? { signal } : {});
  const [here, all] = await Promise.all([
    project.kind === 'folder' ? call({ project: project.uri }) : { items: [] },
    call({}),
  ]);
  return [...new Map([...here.items, ...all.items].map((session) => [session.id, session])).values()];
}

function searchAsTyped(app: App, pick: QuickPick<SwitchItem>, everything: readonly Session[]): AbortController {
  const whole = new AbortController();
  let running = new AbortController();
  pick.onDidChangeValue(async (value) => {
    running.abort();
    running = new AbortController();
    const signal = AbortSignal.any([whole.signal, running.signal]);
    const search = value.trim();
    pick.busy = search !== '';
    try {
      const found = search === '' ? everything : await listed(app, search, signal);
      if (!signal.aborted) pick.items = itemsOf(app, found, search !== '');
    } catch (thrown) {
      const error = toCwmError(thrown);
      if (error.name !== 'Cancelled') showFailure(app, 'cwm.switchSession', error, null);
    } finally {
      if (!signal.aborted) pick.busy = false;
    }
  });
  return whole;
}

/** @param isFound VS Code's own filter would hide sessions that the backend found by something else than their title. */
function itemsOf(app: App, sessions: readonly Session[], isFound: boolean): SwitchItem[] {
  const { project } = app.state.current;
  const here = project.kind === 'folder' ? project.uri : null;
  const now = new Date();
  return switchGroups(sessions, here, now).flatMap(({ group, sessions: rows }) => [
    { label: group, kind: QuickPickItemKind.Separator },
    ...rows.map((session): SwitchItem => {
      const row = treeRow({ kind: 'session', session: session.id, value: session }, app.state.current, now);
      const isElsewhere = session.project !== null && session.project !== here;
      return {
        label: row.label,
        description: row.description,
        ...(row.icon !== null && { iconPath: new ThemeIcon(row.icon) }),
        buttons: [show, ...(isElsewhere ? [openFolder] : []), remove],
        alwaysShow: isFound,
        session,
      };
    }),
  ]);
}
