import { EventEmitter, MarkdownString, ThemeIcon, TreeItem, window, type TreeDataProvider } from 'vscode';
import { DisposableStore, type Disposable } from '../../base/disposable.ts';
import type { App } from '../app.ts';
import { clientsViewId } from '../contributions.ts';
import type { GatewayClient } from '../../words/clients.ts';

/** A row: commands of its menu get it as their input. */
interface ClientNode {
  readonly client: string;
  readonly value: GatewayClient;
}

/** The least time between two fetches, in milliseconds: an answer that streams changes its session all the time. */
const quietMs = 1000;

/** The programs that use the gateway. It is fetched when it is seen, and again when a session changes, since each turn does that. */
export function registerClientsTree(app: App): Disposable {
  const store = new DisposableStore();
  const changed = new EventEmitter<undefined>();
  store.add(changed);
  const provider: TreeDataProvider<ClientNode> = {
    onDidChangeTreeData: changed.event,
    async getChildren(node) {
      if (node !== undefined || !app.connection.isOpen) return [];
      const { items } = await app.connection.call('gatewayClients', {});
      return items.map((value) => ({ client: value.name, value }));
    },
    async getTreeItem({ client, value }) {
      // What the start does not need is loaded with the first row.
      const { clientRow } = await import('../render/clientRow.ts');
      const row = clientRow(value, new Date());
      const item = new TreeItem(row.label);
      item.id = `client:${client}`;
      item.description = row.description;
      item.tooltip = new MarkdownString(row.tooltip);
      item.accessibilityInformation = { label: row.spoken };
      if (row.icon !== null) item.iconPath = new ThemeIcon(row.icon);
      if (row.contextValue !== null) item.contextValue = row.contextValue;
      return item;
    },
  };
  const view = store.add(window.createTreeView(clientsViewId, { treeDataProvider: provider }));
  let timer: NodeJS.Timeout | undefined;
  const refreshSoon = (): void => {
    if (!view.visible) return;
    timer ??= setTimeout(() => {
      timer = undefined;
      changed.fire(undefined);
    }, quietMs);
  };
  store.add(view.onDidChangeVisibility(refreshSoon));
  store.add(app.connection.onChange(refreshSoon));
  store.add(app.state.render(['connection'], refreshSoon));
  store.add({ dispose: () => clearTimeout(timer) });
  return store;
}
