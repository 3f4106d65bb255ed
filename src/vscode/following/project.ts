import { type Disposable, type WorkspaceFolder, window, workspace } from 'vscode';
import { DisposableStore } from '../../base/disposable.ts';
import { projectUriOfFolder, projectUriOfVirtualFolder } from '../../client/projectUri.ts';
import type { ProjectUri } from '../../protocol/ids.ts';
import type { Puller } from './puller.ts';
import type { ProjectState, ViewState } from '../state.ts';

/** Null: no folder is open. */
export const folderUri = ({ project }: { readonly project: ProjectState }): ProjectUri | null =>
  project.kind === 'folder' ? project.uri : null;

/**
 * Follows the folder that the user works in: the active editor's, else the one before, else the first. A project has the name of the folder's
 * real path, so a link to the folder is the same project.
 */
export class ProjectTracker implements Disposable {
  readonly #state: ViewState;
  readonly #puller: Puller;
  readonly #subscriptions = new DisposableStore();
  #last: WorkspaceFolder | null = null;
  #settled: Promise<void> = Promise.resolve();

  constructor(state: ViewState, puller: Puller) {
    this.#state = state;
    this.#puller = puller;
    this.#subscriptions.add(workspace.onDidChangeWorkspaceFolders(() => this.#follow()));
    this.#subscriptions.add(window.onDidChangeActiveTextEditor(() => this.#follow()));
    this.#follow();
  }

  /** Resolves when the state names the folder that is open now. */
  get settled(): Promise<void> {
    return this.#settled;
  }

  dispose(): void {
    this.#subscriptions.dispose();
  }

  #follow(): void {
    const folder = (this.#last = workedInFolder(this.#last));
    const before = this.#settled;
    this.#settled = before.then(() => this.#switchTo(folder));
  }

  async #switchTo(folder: WorkspaceFolder | null): Promise<void> {
    const { project } = this.#state.current;
    const uri = folder === null ? null : await projectUri(folder);
    if (folder === null || uri === null) {
      if (project.kind === 'none') return;
      this.#state.update({ project: { kind: 'none' }, currentSession: { kind: 'none' }, isRecorded: true });
    } else {
      if (project.kind === 'folder' && (project.opened ?? project.uri) === uri) return;
      const next = { kind: 'folder', uri, name: folder.name } as const;
      this.#state.update({ project: next, currentSession: { kind: 'unknown' }, isRecorded: true });
    }
    void this.#puller.all();
  }
}

/**
 * The active editor's folder. Where there is no editor, as for a moment between two, or one of no folder, such as a settings page: the last one
 * that is still open, else the first.
 */
export function workedInFolder(last: WorkspaceFolder | null = null): WorkspaceFolder | null {
  const editor = window.activeTextEditor;
  const ofEditor = editor === undefined ? undefined : workspace.getWorkspaceFolder(editor.document.uri);
  const folders = workspace.workspaceFolders ?? [];
  const stillOpen = last && folders.find(({ uri }) => uri.toString() === last.uri.toString());
  return ofEditor ?? stillOpen ?? folders[0] ?? null;
}

/** Null when the URI is too long for a project's name: the editor then behaves as if no folder was open. */
async function projectUri({ uri }: WorkspaceFolder): Promise<ProjectUri | null> {
  try {
    return await (uri.scheme === 'file' ? projectUriOfFolder(uri.fsPath) : projectUriOfVirtualFolder(uri.toString()));
  } catch {
    return null;
  }
}
