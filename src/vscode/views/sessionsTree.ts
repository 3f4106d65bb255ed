import {
  DataTransferItem,
  EventEmitter,
  MarkdownString,
  ThemeColor,
  ThemeIcon,
  type DataTransfer,
  type TreeDataProvider,
  type TreeDragAndDropController,
  TreeItem,
  TreeItemCollapsibleState,
  type TreeView,
  commands,
  window,
} from 'vscode';
import type { Disposable } from '../../base/disposable.ts';
import { DisposableStore } from '../../base/disposable.ts';
import type { App } from '../app.ts';
import { inBackground } from '../../base/inBackground.ts';
import { type CommandId, sessionsViewId } from '../contributions.ts';
import { viewDescription, viewMessage } from '../render/viewMessage.ts';
import { type TreeNode, nodeId, projectNodes, projectOfNode, rootNodes, sessionNodes } from '../render/treeNodes.ts';
import { treeRow } from '../render/treeRow.ts';
import { wakeUp } from '../following/wakeUp.ts';

/** The tree of sessions and their windows, and the line above it that says which part is down. */
export function registerSessionsTree(app: App): Disposable {
  const store = new DisposableStore();
  const provider = store.add(new SessionsTree(app));
  const view: TreeView<TreeNode> = store.add(
    window.createTreeView(sessionsViewId, {
      treeDataProvider: provider,
      dragAndDropController: new MoveByDrop(),
      showCollapseAll: true,
    }),
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
    app.state.render(['connection', 'engine', 'scope', 'project', 'sessions', 'filter'], (state) => {
      view.message = viewMessage(state) ?? undefined;
      view.description = viewDescription(state);
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
    this.#subscription = app.state.render(
      ['sessions', 'projects', 'windows', 'branches', 'currentSession', 'project'],
      () => this.redraw(),
    );
  }

  redraw(): void {
    this.#changed.fire(undefined);
  }

  async getChildren(node?: TreeNode): Promise<TreeNode[]> {
    const { state, puller } = this.#app;
    if (node === undefined) return rootNodes(state.current);
    if (node.kind === 'project') {
      if (!state.current.ofProjects.has(node.project)) await puller.project(node.project);
      return projectNodes(node.project, state.current);
    }
    if (node.kind !== 'session') return [];
    if (!state.current.windows.has(node.session)) {
      await Promise.all([puller.windows(node.session), puller.branches(node.session)]);
    }
    return sessionNodes(node.session, state.current);
  }

  getTreeItem(node: TreeNode): TreeItem {
    const row = treeRow(node, this.#app.state.current, new Date());
    const item = new TreeItem(row.label, this.#stateOf(node));
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

  #stateOf(node: TreeNode): TreeItemCollapsibleState {
    if (node.kind === 'session') return TreeItemCollapsibleState.Collapsed;
    if (node.kind !== 'project') return TreeItemCollapsibleState.None;
    const { project } = this.#app.state.current;
    const isOpen = project.kind === 'folder' && project.uri === node.project;
    return isOpen ? TreeItemCollapsibleState.Expanded : TreeItemCollapsibleState.Collapsed;
  }

  dispose(): void {
    this.#subscription.dispose();
    this.#changed.dispose();
  }
}

/** A session that is dropped on a project, or on a row in one, moves there. `Move to Project…` does the same without a mouse. */
class MoveByDrop implements TreeDragAndDropController<TreeNode> {
  readonly dragMimeTypes = [treeMimeType];
  readonly dropMimeTypes = [treeMimeType];

  handleDrag([node]: readonly TreeNode[], data: DataTransfer): void {
    if (node?.kind === 'session') data.set(treeMimeType, new DataTransferItem(node.session));
  }

  async handleDrop(target: TreeNode | undefined, data: DataTransfer): Promise<void> {
    const session: unknown = data.get(treeMimeType)?.value;
    const project = target && projectOfNode(target);
    if (typeof session !== 'string' || project === undefined) return;
    await commands.executeCommand('cwm.moveSession' satisfies CommandId, { session, project: project ?? '' });
  }
}

/** VS Code's name for rows of this tree. */
const treeMimeType = `application/vnd.code.tree.${sessionsViewId.toLowerCase()}`;

const themeIcon = (icon: string, color: string | null): ThemeIcon =>
  color === null ? new ThemeIcon(icon) : new ThemeIcon(icon, new ThemeColor(color));
