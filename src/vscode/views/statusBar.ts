import { MarkdownString, StatusBarAlignment, ThemeColor, window } from 'vscode';
import type { Disposable } from '../../base/disposable.ts';
import { DisposableStore } from '../../base/disposable.ts';
import type { App } from '../app.ts';
import { type CommandId, statusBarItemId } from '../contributions.ts';
import { type StatusBarView, statusBarView } from '../render/statusBarView.ts';

const backgrounds: Readonly<Record<StatusBarView['severity'], string | null>> = {
  normal: null,
  warning: 'statusBarItem.warningBackground',
  error: 'statusBarItem.errorBackground',
};

/** The one item: project, current session, how full its context is, and how it is. */
export function registerStatusBar(app: App): Disposable {
  const store = new DisposableStore();
  const item = store.add(window.createStatusBarItem(statusBarItemId, StatusBarAlignment.Left, 50));
  item.name = 'Context Windows';
  store.add(
    app.state.render(
      ['connection', 'project', 'currentSession', 'engine', 'operations', 'receipts', 'warmings'],
      (state) => {
        const view = statusBarView(state);
        const background = backgrounds[view.severity];
        const command: CommandId = view.asks ? 'cwm.loadKv' : 'cwm.showActions';
        item.command = command;
        item.text = view.text;
        item.tooltip = new MarkdownString(view.tooltip);
        item.accessibilityInformation = { label: view.label };
        item.backgroundColor = background === null ? undefined : new ThemeColor(background);
      },
    ),
  );
  item.show();
  return store;
}
