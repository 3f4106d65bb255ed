import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { ProjectTracker } from '../../src/vscode/following/project.ts';
import type { Puller } from '../../src/vscode/following/puller.ts';
import { ViewState } from '../../src/vscode/state.ts';
import { aState } from './builders.ts';

interface Folder {
  readonly name: string;
  readonly uri: { readonly scheme: string; readonly fsPath: string; toString(): string };
}

const editor = vi.hoisted(() => ({
  folders: undefined as unknown[] | undefined,
  /** The folder of the active editor. */
  active: undefined as unknown,
  heard: [] as (() => void)[],
}));

vi.mock('vscode', () => ({
  window: {
    get activeTextEditor() {
      return editor.active === undefined ? undefined : { document: { uri: editor.active } };
    },
    onDidChangeActiveTextEditor: (listener: () => void) => (editor.heard.push(listener), { dispose: () => undefined }),
  },
  workspace: {
    get workspaceFolders() {
      return editor.folders;
    },
    getWorkspaceFolder: (folder: unknown) => folder,
    onDidChangeWorkspaceFolders: (listener: () => void) => (editor.heard.push(listener), { dispose: () => undefined }),
  },
}));

beforeEach(() => {
  editor.folders = undefined;
  editor.active = undefined;
  editor.heard = [];
});

function onDisk(name: string): Folder {
  const directory = mkdtempSync(path.join(tmpdir(), `cwm-${name}-`));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return { name, uri: { scheme: 'file', fsPath: directory, toString: () => pathToFileURL(directory).href } };
}

const virtual = (uri: string): Folder => ({
  name: 'repo',
  uri: { scheme: uri.slice(0, uri.indexOf(':')), fsPath: '/nowhere', toString: () => uri },
});

function tracking() {
  const fail = (error: unknown): never => {
    throw error;
  };
  const state = new ViewState(fail, aState());
  const pulls = { count: 0 };
  const tracker = new ProjectTracker(state, { all: async () => void pulls.count++ } as unknown as Puller);
  const now = async (folders: Folder[] | undefined, active?: Folder): Promise<string | null> => {
    editor.folders = folders;
    editor.active = active;
    for (const tell of editor.heard) tell();
    await tracker.settled;
    const { project } = state.current;
    return project.kind === 'folder' ? project.uri : null;
  };
  return { state, now, pulls };
}

describe('S2-01 the folder that the user works in', () => {
  test('stays when a window becomes multi-root, follows the active editor, and stays between two editors', async () => {
    const [a, b] = [onDisk('a'), onDisk('b')];
    const { now, pulls } = tracking();
    expect(await now(undefined)).toBeNull();
    expect(await now([a])).toBe(a.uri.toString());
    const pulled = pulls.count;
    // The order of the folders is the user's own: it does not decide.
    expect(await now([b, a])).toBe(a.uri.toString());
    expect(pulls.count).toBe(pulled);
    expect(await now([b, a], b)).toBe(b.uri.toString());
    expect(await now([b, a])).toBe(b.uri.toString());
    expect(await now([a])).toBe(a.uri.toString());
    expect(await now([])).toBeNull();
  });

  test('another folder is not said to be unrecorded because the one before was', async () => {
    const [a, b] = [onDisk('a'), onDisk('b')];
    const { state, now } = tracking();
    for (const next of [[b], [], [a]]) {
      state.update({ isRecorded: false });
      await now(next);
      expect(state.current.isRecorded).toBe(true);
    }
  });

  test('is a project also in a virtual file system, by its own URI', async () => {
    const { now } = tracking();
    expect(await now([virtual('vscode-vfs://github/owner/repo')])).toBe('vscode-vfs://github/owner/repo');
    expect(await now([virtual('memfs:/sample')])).toBe('memfs:///sample');
    // No project has so long a name: the editor behaves as if no folder was open.
    expect(await now([virtual(`memfs:/${'a'.repeat(5000)}`)])).toBeNull();
  });
});
