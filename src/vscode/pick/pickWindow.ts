import { type QuickPick, type QuickPickItem, ThemeIcon, window } from 'vscode';
import { toCwmError } from '../../protocol/errors.ts';
import type { WindowSummary } from '../../protocol/schemas/window.ts';
import type { App } from '../app.ts';
import { showFailure } from '../ui/notifications.ts';
import { treeRow } from '../render/treeRow.ts';

interface WindowItem extends QuickPickItem {
  readonly window: string;
}

/**
 * Lets the user pick a window. What is typed is searched for by the backend, in names and descriptions, so that windows past the
 * first page are found too.
 */
export async function pickWindow(app: App, prompt: string): Promise<string | undefined> {
  // The first page outside the picker: a backend that is down is a failure of the command, not an empty list.
  const first = await app.connection.call('listWindows', { limit: 100 });
  const pick = window.createQuickPick<WindowItem>();
  pick.title = prompt;
  pick.placeholder = first.total === 0 ? 'There are no windows yet: freeze a session first' : 'Type to search';
  pick.matchOnDescription = true;
  pick.items = first.items.map((item) => windowItem(app, item, false));
  const search = searchAsTyped(app, pick, first.items);
  try {
    return await new Promise((resolve) => {
      pick.onDidAccept(() => resolve(pick.selectedItems[0]?.window));
      pick.onDidHide(() => resolve(undefined));
      pick.show();
    });
  } finally {
    search.abort();
    pick.dispose();
  }
}

function searchAsTyped(app: App, pick: QuickPick<WindowItem>, everything: readonly WindowSummary[]): AbortController {
  const whole = new AbortController();
  let running = new AbortController();
  pick.onDidChangeValue(async (value) => {
    running.abort();
    running = new AbortController();
    const signal = AbortSignal.any([whole.signal, running.signal]);
    const search = value.trim();
    if (search === '') {
      pick.busy = false;
      pick.items = everything.map((item) => windowItem(app, item, false));
      return;
    }
    try {
      pick.busy = true;
      const found = await app.connection.call('listWindows', { search, limit: 100 }, signal);
      pick.items = found.items.map((item) => windowItem(app, item, true));
    } catch (thrown) {
      const error = toCwmError(thrown);
      if (error.name !== 'Cancelled') showFailure(app, 'List Windows', error, null);
    } finally {
      if (!signal.aborted) pick.busy = false;
    }
  });
  return whole;
}

function windowItem(app: App, value: WindowSummary, isFound: boolean): WindowItem {
  const row = treeRow({ kind: 'window', window: value.name, value }, app.state.current, new Date());
  return {
    label: row.label,
    description: row.description,
    ...(value.description === '' ? {} : { detail: value.description }),
    ...(row.icon === null ? {} : { iconPath: new ThemeIcon(row.icon) }),
    // What the backend found need not match by VS Code's own filter.
    alwaysShow: isFound,
    window: value.name,
  };
}
