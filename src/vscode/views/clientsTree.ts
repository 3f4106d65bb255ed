import { EventEmitter, MarkdownString, ThemeIcon, TreeItem, window, type TreeDataProvider } from 'vscode';
import { DisposableStore, type Disposable } from '../../base/disposable.ts';
import { inBackground } from '../../base/inBackground.ts';
import type { App } from '../app.ts';
import { clientsViewId } from '../contributions.ts';
import { DrawnRows } from '../render/drawnRows.ts';
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
  const changed = store.add(new EventEmitter<ClientNode[] | undefined>());
  const drawn = new DrawnRows<ClientNode>(({ client }) => client);
  const fetchClients = async (): Promise<ClientNode[]> => {
    if (!app.connection.isOpen) return [];
    const { items } = await app.connection.call('gatewayClients', {});
    return items.map((value) => ({ client: value.name, value }));
  };
  // What the start does not need is loaded with the first row.
  const loadRow = async () => {
    const { clientRow } = await import('../render/clientRow.ts');
    return ({ value }: ClientNode) => clientRow(value, new Date());
  };
  const provider: TreeDataProvider<ClientNode> = {
    onDidChangeTreeData: changed.event,
    async getChildren(node) {
      if (node !== undefined) return [];
      // VS Code draws none where the fetch fails; a later one finds them missing.
      drawn.give(node, []);
      return drawn.give(node, await fetchClients());
    },
    async getTreeItem(node) {
      const row = (await loadRow())(node);
      drawn.draw(node, row);
      const item = new TreeItem(row.label);
      item.id = `client:${node.client}`;
      item.description = row.description;
      item.tooltip = new MarkdownString(row.tooltip);
      item.accessibilityInformation = { label: row.spoken };
      if (row.icon !== null) item.iconPath = new ThemeIcon(row.icon);
      if (row.contextValue !== null) item.contextValue = row.contextValue;
      return item;
    },
  };
  const view = store.add(window.createTreeView(clientsViewId, { treeDataProvider: provider }));
  const refresh = async (): Promise<void> => {
    const [clients, rowOf] = await Promise.all([fetchClients(), loadRow()]);
    const rows = drawn.outdated(() => clients, rowOf);
    if (rows?.length !== 0) changed.fire(rows);
  };
  let timer: NodeJS.Timeout | undefined;
  const refreshSoon = (): void => {
    if (!view.visible) return;
    timer ??= setTimeout(() => {
      timer = undefined;
      inBackground(app.log, 'Fetching the clients', refresh());
    }, quietMs);
  };
  store.add(view.onDidChangeVisibility(refreshSoon));
  store.add(app.connection.onChange(refreshSoon));
  store.add(app.state.render(['connection'], refreshSoon));
  store.add({ dispose: () => clearTimeout(timer) });
  return store;
}
