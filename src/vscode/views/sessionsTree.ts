import { setTimeout as delay } from 'node:timers/promises';
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
import { DrawnRows } from '../render/drawnRows.ts';
import { type TreeNode, childNodes, nodeId, projectOfNode } from '../render/treeNodes.ts';
import { treeRow, type TreeRow } from '../render/treeRow.ts';
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
  store.add(commands.registerCommand(openRow, () => openSelected(view)));
  store.add(
    view.onDidChangeVisibility(({ visible }) => {
      if (!visible) return;
      // Ages are drawn only once, so they are out of date by now.
      provider.redraw();
      inBackground(app.log, 'Fetching the sessions', wakeUp(app));
    }),
  );
  store.add(
    app.state.render(['connection', 'engine', 'scope', 'project', 'sessions', 'filter', 'isRecorded'], (state) => {
      view.message = viewMessage(state) ?? undefined;
      view.description = viewDescription(state);
    }),
  );
  return store;
}

/** A command of the rows only, so that it is in no list of commands. */
const openRow = 'cwm.openRow';

/**
 * Opens the row that was clicked, which VS Code selects first. VS Code loses the arguments of a row's command when it draws the row again;
 * what is selected it only does not know while it draws the whole tree.
 */
async function openSelected(view: TreeView<TreeNode>): Promise<void> {
  for (let waits = 0; view.selection.length === 0 && waits < 40; waits++) await delay(50);
  const [row] = view.selection;
  const command: CommandId = row?.kind === 'more' ? 'cwm.showMore' : 'cwm.showConversation';
  await commands.executeCommand(command, row);
}

/** The least time between two redraws, in milliseconds: VS Code waits for 200 without a change, so it would wait for ever where they are many. */
const quietMs = 250;

class SessionsTree implements TreeDataProvider<TreeNode>, Disposable {
  readonly #app: App;
  readonly #changed = new EventEmitter<TreeNode[] | undefined>();
  readonly #subscription: Disposable;
  readonly #drawn = new DrawnRows(nodeId);
  #quiet: NodeJS.Timeout | undefined;
  #isOutdated = false;

  readonly onDidChangeTreeData = this.#changed.event;

  constructor(app: App) {
    this.#app = app;
    this.#subscription = app.state.render(
      ['sessions', 'projects', 'windows', 'branches', 'currentSession', 'project'],
      () => this.redraw(),
    );
  }

  /** Draws again what looks different now. */
  redraw(): void {
    this.#isOutdated = true;
    if (this.#quiet !== undefined) return;
    this.#isOutdated = false;
    const rows = this.#drawn.outdated(
      (parent) => childNodes(parent, this.#app.state.current),
      (node) => this.#rowOf(node),
    );
    if (rows?.length === 0) return;
    this.#changed.fire(rows);
    this.#quiet = setTimeout(() => {
      this.#quiet = undefined;
      if (this.#isOutdated) this.redraw();
    }, quietMs);
  }

  async getChildren(node?: TreeNode): Promise<TreeNode[]> {
    const { state, puller } = this.#app;
    const { ofProjects, windows } = state.current;
    const isLoaded = (listing: { kind: string } | undefined): boolean => listing?.kind === 'loaded';
    if (node?.kind === 'project' && !isLoaded(ofProjects.get(node.project))) await puller.project(node.project);
    if (node?.kind === 'session' && !isLoaded(windows.get(node.session))) {
      await Promise.all([puller.windows(node.session), puller.branches(node.session)]);
    }
    return this.#drawn.give(node, childNodes(node, state.current));
  }

  #rowOf(node: TreeNode): TreeRow {
    return treeRow(node, this.#app.state.current, new Date());
  }

  getTreeItem(node: TreeNode): TreeItem {
    const row = this.#rowOf(node);
    this.#drawn.draw(node, row);
    const item = new TreeItem(row.label, this.#stateOf(node));
    item.id = nodeId(node);
    item.description = row.description;
    if (row.icon !== null) item.iconPath = themeIcon(row.icon, row.iconColor);
    if (row.tooltip !== '') item.tooltip = new MarkdownString(row.tooltip);
    if (row.contextValue !== null) item.contextValue = row.contextValue;
    item.accessibilityInformation = { label: row.spoken };
    if (node.kind === 'session' || node.kind === 'more') item.command = { command: openRow, title: row.label };
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
    clearTimeout(this.#quiet);
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
