import {
  EventEmitter,
  MarkdownString,
  ThemeColor,
  ThemeIcon,
  type TreeDataProvider,
  TreeItem,
  TreeItemCollapsibleState,
  type TreeView,
  window,
} from 'vscode';
import type { Disposable } from '../../base/disposable.ts';
import { DisposableStore } from '../../base/disposable.ts';
import type { App } from '../app.ts';
import { inBackground } from '../../base/inBackground.ts';
import { type CommandId, sessionsViewId } from '../contributions.ts';
import { viewMessage } from '../render/viewMessage.ts';
import { type TreeNode, nodeId, rootNodes, sessionNodes } from '../render/treeNodes.ts';
import { treeRow } from '../render/treeRow.ts';
import { wakeUp } from '../following/wakeUp.ts';

/** The tree of sessions and their windows, and the line above it that says which part is down. */
export function registerSessionsTree(app: App): Disposable {
  const store = new DisposableStore();
  const provider = store.add(new SessionsTree(app));
  const view: TreeView<TreeNode> = store.add(
    window.createTreeView(sessionsViewId, { treeDataProvider: provider, showCollapseAll: true }),
  );
  store.add(
    view.onDidChangeVisibility(({ visible }) => {
      if (!visible) return;
      // Ages are drawn only once, so they are out of date by now.
      provider.redraw();
      inBackground(app.log, 'Fetching the sessions', wakeUp(app));
    }),
  );
  store.add(
    app.state.render(['connection', 'engine', 'scope', 'project', 'sessions'], (state) => {
      view.message = viewMessage(state) ?? undefined;
      view.description = state.scope === 'all' ? 'all folders' : '';
    }),
  );
  return store;
}

class SessionsTree implements TreeDataProvider<TreeNode>, Disposable {
  readonly #app: App;
  readonly #changed = new EventEmitter<undefined>();
  readonly #subscription: Disposable;

  readonly onDidChangeTreeData = this.#changed.event;

  constructor(app: App) {
    this.#app = app;
    this.#subscription = app.state.render(['sessions', 'windows', 'branches', 'currentSession', 'project'], () =>
      this.redraw(),
    );
  }

  redraw(): void {
    this.#changed.fire(undefined);
  }

  async getChildren(node?: TreeNode): Promise<TreeNode[]> {
    const { state, puller } = this.#app;
    if (node === undefined) return rootNodes(state.current);
    if (node.kind !== 'session') return [];
    if (!state.current.windows.has(node.session)) {
      await Promise.all([puller.windows(node.session), puller.branches(node.session)]);
    }
    return sessionNodes(node.session, state.current);
  }

  getTreeItem(node: TreeNode): TreeItem {
    const row = treeRow(node, this.#app.state.current, new Date());
    const item = new TreeItem(
      row.label,
      node.kind === 'session' ? TreeItemCollapsibleState.Collapsed : TreeItemCollapsibleState.None,
    );
    item.id = nodeId(node);
    item.description = row.description;
    if (row.icon !== null) item.iconPath = themeIcon(row.icon, row.iconColor);
    if (row.tooltip !== '') item.tooltip = new MarkdownString(row.tooltip);
    if (row.contextValue !== null) item.contextValue = row.contextValue;
    item.accessibilityInformation = { label: row.spoken };
    if (node.kind === 'session') {
      item.command = { command: 'cwm.showConversation' satisfies CommandId, title: row.label, arguments: [node] };
    }
    if (node.kind === 'more') {
      item.command = { command: 'cwm.showMore' satisfies CommandId, title: row.label, arguments: [node] };
    }
    return item;
  }

  dispose(): void {
    this.#subscription.dispose();
    this.#changed.dispose();
  }
}

const themeIcon = (icon: string, color: string | null): ThemeIcon =>
  color === null ? new ThemeIcon(icon) : new ThemeIcon(icon, new ThemeColor(color));
