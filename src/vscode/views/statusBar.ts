import { MarkdownString, StatusBarAlignment, ThemeColor, window } from 'vscode';
import { inBackground } from '../../base/inBackground.ts';
import type { Disposable } from '../../base/disposable.ts';
import { DisposableStore } from '../../base/disposable.ts';
import type { Session } from '../../protocol/schemas/session.ts';
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
      ['connection', 'project', 'currentSession', 'engine', 'operations', 'receipts', 'warmings', 'memory'],
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
  store.add(
    app.state.render(['currentSession', 'connection'], ({ currentSession: current }) => {
      // A turn changes its session several times: its last change ends it.
      if (current.kind === 'session' && current.session.phase === 'Idle' && current.session.settings?.memory?.enableVm)
        inBackground(app.log, 'Fetching memory', fetchMemory(app, current.session));
    }),
  );
  item.show();
  return store;
}

/** Only the tooltip has it, so that its words are loaded with the first session that has virtual memory. */
async function fetchMemory(app: App, { id: session, version }: Session): Promise<void> {
  if (!app.connection.isOpen) return;
  const { memorySplit } = await import('../render/memorySplit.ts');
  const split = memorySplit(await app.connection.call('memoryState', { session, limit: 1 }));
  const { currentSession: now } = app.state.current;
  // Another version has a fetch of its own.
  if (now.kind === 'session' && now.session.id === session && now.session.version === version)
    app.state.update({ memory: { session, split } });
}
