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
 * Lets the user pick a window. The backend searches names and descriptions for the typed text, so that it also finds windows beyond
 * the first page.
 */
export async function pickWindow(app: App, prompt: string): Promise<string | undefined> {
  // Fetched before the picker opens: a backend that is down fails the command instead of showing an empty list.
  const first = await app.connection.call('listWindows', { limit: 100 });
  const pick = window.createQuickPick<WindowItem>();
  pick.title = prompt;
  pick.placeholder = first.total === 0 ? 'There are no windows yet. Freeze a session first.' : 'Type to search';
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
      const found = await app.connection.call('listWindows', { search, limit: 100 }, { signal });
      pick.items = found.items.map((item) => windowItem(app, item, true));
    } catch (thrown) {
      const error = toCwmError(thrown);
      if (error.name !== 'Cancelled') showFailure(app, 'cwm.listWindows', error, null);
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
    // VS Code's own filter would hide windows whose description matched.
    alwaysShow: isFound,
    window: value.name,
  };
}
