import { afterEach, describe, expect, test, vi } from 'vitest';
import type { App } from '../../src/vscode/app.ts';
import { CwmError } from '../../src/protocol/errors.ts';
import { parseProjectUri } from '../../src/protocol/ids.ts';
import {
  clearFilter,
  filterSessions,
  showAllFolders,
  showMore,
  showThisFolder,
} from '../../src/vscode/commands/editor/sessionsTree.ts';
import { dontRecordProject, recordProject } from '../../src/vscode/commands/projects/recordProject.ts';
import { activate } from '../../src/vscode/commands/sessions/createSession.ts';
import { BackendConnection } from '../../src/vscode/connection/backendConnection.ts';
import { Puller, pageSize } from '../../src/vscode/following/puller.ts';
import { nodeId, rootNodes, type TreeNode } from '../../src/vscode/render/treeNodes.ts';
import { treeRow } from '../../src/vscode/render/treeRow.ts';
import { viewDescription, viewMessage } from '../../src/vscode/render/viewMessage.ts';
import { ViewState } from '../../src/vscode/state.ts';
import { registerSessionsTree } from '../../src/vscode/views/sessionsTree.ts';
import { sessionId } from '../support/ids.ts';
import type { BranchSummary } from '../../src/protocol/schemas/branch.ts';
import { aSession, aState, aWindow, now } from './builders.ts';
import { FakeBackend, healthAnswer } from './fakeBackend.ts';

interface Controller {
  handleDrag(nodes: readonly TreeNode[], data: Data): void;
  handleDrop(target: TreeNode | undefined, data: Data): Promise<void>;
}
interface Shown {
  readonly treeDataProvider: {
    getChildren(node?: TreeNode): Promise<TreeNode[]>;
    getTreeItem(node: TreeNode): {
      id: string;
      collapsibleState: number;
      accessibilityInformation: { label: string };
      command?: { command: string; arguments?: unknown[] };
    };
  };
  readonly dragAndDropController: Controller;
}
type Data = Map<string, { readonly value: unknown }>;

const editor = vi.hoisted(() => ({
  trees: [] as unknown[],
  run: [] as unknown[][],
  drawn: [] as (readonly TreeNode[] | undefined)[],
  appears: null as ((change: { visible: boolean }) => void) | null,
  registered: new Map<string, () => Promise<void>>(),
  view: { message: '', description: '', selection: [] as TreeNode[] },
}));

vi.mock('vscode', () => ({
  DataTransferItem: class {
    value: unknown;
    constructor(value: unknown) {
      this.value = value;
    }
  },
  EventEmitter: class {
    event = () => undefined;
    fire = (rows: TreeNode[] | undefined) => void editor.drawn.push(rows);
    dispose = () => undefined;
  },
  MarkdownString: Object,
  ThemeColor: Object,
  ThemeIcon: Object,
  TreeItem: class {
    collapsibleState: number;
    constructor(_: string, collapsibleState: number) {
      this.collapsibleState = collapsibleState;
    }
  },
  TreeItemCollapsibleState: { None: 0, Collapsed: 1, Expanded: 2 },
  commands: {
    executeCommand: async (...given: unknown[]) => void editor.run.push(given),
    registerCommand: (id: string, run: () => Promise<void>) => {
      editor.registered.set(id, run);
      return { dispose: () => undefined };
    },
  },
  window: {
    showInformationMessage: async () => undefined,
    createTreeView: (_: string, options: unknown) => {
      editor.trees.push(options);
      return Object.assign(editor.view, {
        onDidChangeVisibility: (listener: (change: { visible: boolean }) => void) => {
          editor.appears = listener;
          return { dispose: () => undefined };
        },
        dispose: () => undefined,
      });
    },
  },
}));

const here = { kind: 'folder', uri: parseProjectUri('file:///home/me/here'), name: 'here' } as const;
const known = (name: string, sessions: number, isGone = false) => ({
  project: `file:///home/me/${name}`,
  name,
  id: null,
  sessions,
  isGone,
  currentSession: null,
});

/** A tree over a backend with these sessions. */
async function treeOf(sessions: ReturnType<typeof aSession>[], projects = [known('a', 1), known('empty', 0)]) {
  const unrecorded = new Set<string>();
  let failures = 0;
  const failNext = (): void => void failures++;
  const backend = new FakeBackend({
    health: () => healthAnswer,
    currentSession: ({ project }) => ({ session: null, recorded: !unrecorded.has(project) }),
    recordProject: ({ project, recorded }) => {
      if (recorded) unrecorded.delete(project);
      else unrecorded.add(project);
      return { project, recorded, dropped: 0 };
    },
    listBranches: () => ({ items: [] }),
    listWindows: () => {
      if (failures-- > 0) throw new CwmError('OperationTimeout', 'It takes too long.');
      return { items: [], total: 0, hasMore: false };
    },
    listProjects: () => ({
      items: projects.map((each) => ({ ...each, recorded: !unrecorded.has(each.project) })),
      withoutProject: sessions.filter(({ project }) => project === null).length,
    }),
    listSessions: ({ project, withoutProject, search, limit, offset }) => {
      const all = sessions.filter(
        (session) =>
          (project === undefined || session.project === project) &&
          (!withoutProject || session.project === null) &&
          (search === undefined || session.title.includes(search)),
      );
      const items = all.slice(Number(offset), Number(offset) + Number(limit));
      return { items, total: all.length, hasMore: Number(offset) + items.length < all.length };
    },
  });
  const fail = (error: unknown): never => {
    throw error;
  };
  const state = new ViewState(fail, aState({ project: here }));
  const connection = new BackendConnection(async () => backend, state, fail);
  const problems: string[] = [];
  const puller = new Puller(
    connection,
    state,
    () => 'embedded',
    (error) => problems.push(error.code),
  );
  await connection.open();
  const log = { error: fail, info: () => undefined };
  const app = { state, connection, puller, log, project: { settled: Promise.resolve() } } as unknown as App;
  registerSessionsTree(app);
  const { treeDataProvider: tree, dragAndDropController: drops } = editor.trees.at(-1) as Shown;
  const rows = async (node?: TreeNode): Promise<string[]> =>
    (await tree.getChildren(node)).map((row) => treeRow(row, state.current, now).label);
  return { app, state, backend, puller, tree, drops, rows, failNext, problems };
}

/** Which rows VS Code is told to draw again because of a change; undefined: the whole tree. */
async function drawnBy(change: () => unknown): Promise<unknown[]> {
  vi.runAllTimers();
  editor.drawn = [];
  await change();
  vi.runAllTimers();
  return [...new Set(editor.drawn.flatMap((rows): readonly unknown[] => rows ?? [undefined]))];
}

afterEach(() => void vi.useRealTimers());

const inProject = (id: string, project: string | null) => aSession({ id, title: id, project });

describe('V2 the tree of projects', () => {
  test('one toggle: this folder, or all: this folder first and open, the others with their sessions, then those of no project', async () => {
    const all = [inProject('mine', here.uri), inProject('theirs', 'file:///home/me/a'), inProject('loose', null)];
    const { app, state, tree, rows, backend } = await treeOf(all, [
      known('a', 1, true),
      known('empty', 0),
      known('here', 1),
    ]);
    await showThisFolder(app, {});
    expect(await rows()).toEqual(['mine']);
    expect(backend.count('listProjects')).toBe(0);
    await showAllFolders(app, {});
    expect(await rows()).toEqual(['here', 'a', 'No Project']);
    const roots = await tree.getChildren();
    expect(roots.map((node) => tree.getTreeItem(node).collapsibleState)).toEqual([2, 1, 1]);
    expect(roots.map((node) => treeRow(node, state.current, now).spoken)).toEqual([
      'Project here, this folder, 1 session',
      'Project a, 1 session, its folder is not there any more',
      'No Project, 1 session',
    ]);
    expect(await Promise.all(roots.map(rows))).toEqual([['mine'], ['theirs'], ['loose']]);
    expect(editor.view.description).toBe('all folders');
    // The rows of sessions are known to the rest of the editor, too.
    expect(state.current.sessions).toMatchObject({ total: 3 });
    await showThisFolder(app, {});
    expect(await rows()).toEqual(['mine']);
    expect(editor.view.description).toBe('');
  });

  test('a project that is not recorded says so in its row, and beside the title where it has none, and its menu switches that', async () => {
    const projects = [known('a', 1), known('here', 1)];
    const { app, state, puller, tree } = await treeOf([inProject('mine', here.uri)], projects);
    const shown = async () =>
      (await tree.getChildren()).map((node) => {
        const { description, icon, contextValue } = treeRow(node, state.current, now);
        return [description, icon, contextValue];
      });
    await showThisFolder(app, {});
    await dontRecordProject(app, {});
    await puller.follow({ type: 'project', project: here.uri });
    expect(editor.view.description).toBe('not recorded');
    await showAllFolders(app, {});
    expect(editor.view.description).toBe('all folders');
    const recorded = ['1 session', 'folder', 'project.recorded'];
    expect(await shown()).toEqual([
      ['this folder · not recorded · 1 session', 'eye-closed', 'project.unrecorded'],
      recorded,
    ]);
    const [row, other] = await tree.getChildren();
    await recordProject(app, row as never);
    await dontRecordProject(app, other as never);
    await puller.follow({ type: 'project', project: here.uri });
    expect(await shown()).toEqual([
      ['this folder · 1 session', 'folder-opened', 'project.recorded'],
      ['not recorded · 1 session', 'eye-closed', 'project.unrecorded'],
    ]);
    await showThisFolder(app, {});
    expect(editor.view.description).toBe('');
  });

  test('a session of which nothing is saved unasked says so in its row', () => {
    const row = (recorded: boolean) =>
      treeRow({ kind: 'session', session: 's', value: aSession({ recorded }) }, aState(), now).description;
    expect(row(false)).toContain('open · not recorded · ');
    expect(row(true)).not.toContain('recorded');
  });

  test('a change of a session fetches only projects that are open in the tree', async () => {
    const { app, backend, puller, tree } = await treeOf([inProject('s', 'file:///home/me/a')]);
    await showAllFolders(app, {});
    const [, a] = await tree.getChildren();
    await tree.getChildren(a);
    const before = backend.asked.length;
    await puller.follow({ type: 'session', session: 't', version: 2 } as never);
    expect(
      backend.asked.slice(before).map(({ route, input }) => [route, (input as { project?: string }).project]),
    ).toEqual([
      ['listProjects', undefined],
      ['listSessions', 'file:///home/me/a'],
    ]);
  });

  test('a filter finds titles, also beyond the page and in all folders, and says when nothing has it', async () => {
    const many = Array.from({ length: 300 }, (_, at) => inProject(`s${at}`, 'file:///home/me/a'));
    const { app, rows, state } = await treeOf([...many, inProject('quince', here.uri)]);
    await filterSessions(app, { text: 's29' });
    expect(await rows()).toEqual([]);
    expect(editor.view.message).toBe('No session has "s29" in its title or id.');
    await showAllFolders(app, {});
    expect(await rows()).toEqual(['s29', ...Array.from({ length: 10 }, (_, at) => `s${290 + at}`)]);
    expect(viewDescription(state.current)).toBe('all folders · "s29"');
    await clearFilter(app, {});
    expect(await rows()).toEqual(['here', 'a']);
    expect(viewMessage(state.current)).toBeNull();
  });

  test('10,000 sessions are one page, and one more with each "Show more"', async () => {
    const a = 'file:///home/me/a';
    const { app, backend, tree, rows } = await treeOf(
      Array.from({ length: 10_000 }, (_, at) => inProject(`s${at}`, a)),
      [known('a', 10_000)],
    );
    await showAllFolders(app, {});
    const [, project] = await tree.getChildren();
    const shown = await tree.getChildren(project);
    expect(shown).toHaveLength(pageSize + 1);
    expect(backend.count('listSessions')).toBe(1);
    const more = shown.at(-1);
    expect(more && treeRow(more, aState(), now).label).toBe('Show more (100 of 10,000 shown)');
    await showMore(app, more as never);
    expect((await rows(project)).length).toBe(2 * pageSize + 1);
    expect(backend.count('listSessions')).toBe(3);
  });

  test('a session that is dropped on a project, or on a row in one, moves there; nothing else moves', async () => {
    const { drops } = await treeOf([]);
    const session: TreeNode = { kind: 'session', session: 's', value: inProject('s', here.uri) };
    const project = (uri: string | null): TreeNode => ({
      kind: 'project',
      project: uri === null ? null : parseProjectUri(uri),
      value: { uri: null, name: '', sessions: 1, isGone: false, isRecorded: true },
    });
    const drop = async (dragged: TreeNode, target: TreeNode | undefined): Promise<unknown[]> => {
      const data: Data = new Map();
      editor.run = [];
      drops.handleDrag([dragged], data);
      await drops.handleDrop(target, data);
      return editor.run;
    };
    const moved = (to: string) => [['cwm.moveSession', { session: 's', project: to }]];
    expect(await drop(session, project('file:///b'))).toEqual(moved('file:///b'));
    expect(await drop(session, project(null))).toEqual(moved(''));
    const inB: TreeNode = { kind: 'window', window: 'w', value: aWindow({ project: 'file:///b' }) };
    expect(await drop(session, inB)).toEqual(moved('file:///b'));
    expect(await drop(session, undefined)).toEqual([]);
    expect(await drop(session, { kind: 'empty', parent: '', text: '' })).toEqual([]);
    expect(await drop(inB, project('file:///c'))).toEqual([]);
  });

  test('a window says what it is a clone of, and what its session was thawed from', () => {
    const row = (changes: object) => treeRow({ kind: 'window', window: 'w', value: aWindow(changes) }, aState(), now);
    expect(row({ mode: 'clone', parentWindow: 'first' }).description).toMatch(/ · clone of first$/);
    expect(row({ mode: 'freeze', parentWindow: 'first', pinned: true }).spoken).toMatch(/, from first, pinned$/);
  });

  test('the current session is not listed where a filter does not find it', () => {
    const sessions = { kind: 'loaded', items: [aSession({ id: 'a' })], total: 1 } as const;
    const current = { kind: 'session', session: aSession({ id: 'c' }) } as const;
    const ids = (filter: string) => rootNodes(aState({ sessions, currentSession: current, filter })).map(nodeId);
    expect([ids(''), ids('a')]).toEqual([['session:c', 'session:a'], ['session:a']]);
  });

  test('a change that nobody sees draws nothing again, a change of a row that row, and a new session the whole tree', async () => {
    const all = [inProject('a', here.uri), inProject('b', here.uri)];
    vi.useFakeTimers();
    const { app, state, tree, puller } = await treeOf(all);
    await showThisFolder(app, {});
    const rows = await tree.getChildren();
    for (const row of rows) tree.getTreeItem(row);
    const changed = (...sessions: typeof all): Promise<unknown> =>
      drawnBy(() => state.update({ sessions: { kind: 'loaded', items: sessions, total: sessions.length } }));
    await puller.sessions();
    const [a = aSession(), b = aSession()] = all;
    expect(await changed({ ...a, version: a.version + 1 }, { ...b })).toEqual([]);
    expect(rows[0], 'a row that looks the same has what is new').toMatchObject({ value: { version: a.version + 1 } });
    expect(await changed(a, { ...b, title: 'pears' })).toEqual([rows[1]]);
    expect(rows[1]).toMatchObject({ value: { title: 'pears' } });
    expect(await changed(inProject('c', here.uri), a, b)).toEqual([undefined]);
  });

  test('V2 a row that was opened without a backend shows what is below it once one is there', async () => {
    vi.useFakeTimers();
    const { app, backend, puller, tree, rows } = await treeOf([inProject('s', here.uri), inProject('t', null)]);
    await showThisFolder(app, {});
    const [session] = await tree.getChildren();
    backend.die();
    expect(await rows(session)).toEqual([]);
    await app.connection.open();
    expect(await drawnBy(() => puller.all())).toEqual([session]);
    expect(await rows(session)).toEqual(['No windows yet']);
    await showAllFolders(app, {});
    const projects = await tree.getChildren();
    const loose = projects.at(-1);
    backend.die();
    expect(await rows(loose)).toEqual([]);
    await app.connection.open();
    expect(await drawnBy(() => puller.all())).toEqual([loose]);
    expect(await rows(loose)).toEqual(['t']);
  });

  test('a row whose fetch failed shows what is below it with the next change of its session', async () => {
    vi.useFakeTimers();
    const { app, puller, tree, rows, failNext, problems } = await treeOf([inProject('s', here.uri)]);
    await showThisFolder(app, {});
    const [session] = await tree.getChildren();
    failNext();
    expect(await rows(session)).toEqual([]);
    expect(problems).toEqual(['CWM-6002']);
    expect(await drawnBy(() => puller.follow({ type: 'session', session: sessionId('s') }))).toEqual([session]);
    expect(await rows(session)).toEqual(['No windows yet']);
  });

  test('V2 each cause of another look draws what it changes: age, current session, branches, folder, filter, toggle', async () => {
    vi.useFakeTimers();
    const all = [inProject('a', here.uri), inProject('b', here.uri)];
    const { app, state, tree } = await treeOf(all);
    const [a = aSession()] = all;
    await showThisFolder(app, {});
    const rows = await tree.getChildren();
    const [first, second] = rows;
    /** As VS Code does it, with the second session open. */
    const draw = async (): Promise<void> => {
      for (const row of await tree.getChildren()) tree.getTreeItem(row);
      await tree.getChildren(second);
    };
    const drawn = async (change: () => unknown): Promise<unknown[]> => {
      await draw();
      return drawnBy(change);
    };
    const appears = (): void => editor.appears?.({ visible: true });
    expect(await drawn(appears)).toEqual([]);
    expect(await drawn(() => (vi.advanceTimersByTime(100 * 86_400_000), appears()))).toEqual(rows);
    expect(await drawn(() => state.update({ currentSession: { kind: 'session', session: a } }))).toEqual([first]);
    const branches = ['main', 'other'].map((name) => ({ name }) as BranchSummary);
    expect(await drawn(() => state.update({ branches: new Map([['b', branches]]) }))).toEqual([second]);
    const elsewhere = { ...here, uri: parseProjectUri('file:///home/me/elsewhere') };
    expect(await drawn(() => state.update({ project: elsewhere }))).toEqual(rows);
    state.update({ project: here });
    expect(await drawn(() => filterSessions(app, { text: 'b' }))).toEqual([undefined]);
    expect(await drawn(() => clearFilter(app, {}))).toEqual([undefined]);
    expect(await drawn(() => showAllFolders(app, {}))).toEqual([undefined]);
  });

  test('a row that is clicked is opened by what is selected, also where VS Code knows that only a moment later', async () => {
    const { tree } = await treeOf([inProject('mine', here.uri)]);
    const session: TreeNode = { kind: 'session', session: 's', value: inProject('s', here.uri) };
    const more: TreeNode = { kind: 'more', shown: 1, total: 2 };
    const open = tree.getTreeItem(session).command;
    expect(open?.arguments, 'VS Code drops arguments when it draws the row again').toBeUndefined();
    const click = async (): Promise<unknown> => {
      editor.run = [];
      await editor.registered.get(open?.command ?? '')?.();
      return editor.run;
    };
    editor.view.selection = [session];
    expect(await click()).toEqual([['cwm.showConversation', session]]);
    editor.view.selection = [more];
    expect(await click()).toEqual([['cwm.showMore', more]]);
    editor.view.selection = [];
    const clicked = click();
    editor.view.selection = [session];
    expect(await clicked).toEqual([['cwm.showConversation', session]]);
  });

  test('a session that becomes the current one is the first row before the backend has noted that, and no more where it cannot', async () => {
    const [old, fresh] = [inProject('old', here.uri), inProject('new', here.uri)];
    const { state } = await treeOf([]);
    state.update({
      sessions: { kind: 'loaded', items: [old, fresh], total: 2 },
      currentSession: { kind: 'session', session: old },
    });
    const first = (): string | undefined => rootNodes(state.current).map(nodeId)[0];
    const noted = Promise.withResolvers<void>();
    const made = activate({ state, connection: { call: () => noted.promise } } as unknown as App, fresh);
    expect(first()).toBe('session:new');
    noted.reject(new CwmError('StorageFull', 'The disk is full.'));
    await expect(made).rejects.toThrow('full');
    expect(first()).toBe('session:old');
  });

  test('a session that could not become the current one takes nothing from another that did meanwhile', async () => {
    const { state } = await treeOf([]);
    const noted = Promise.withResolvers<void>();
    const made = activate(
      { state, connection: { call: () => noted.promise } } as unknown as App,
      inProject('new', here.uri),
    );
    const other = { kind: 'session', session: inProject('other', here.uri) } as const;
    state.update({ currentSession: other });
    noted.reject(new CwmError('StorageFull', 'The disk is full.'));
    await expect(made).rejects.toThrow('full');
    expect(state.current.currentSession).toBe(other);
  });
});
