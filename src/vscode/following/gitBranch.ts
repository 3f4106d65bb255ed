import { type Disposable, type Event, extensions, Uri } from 'vscode';
import { DisposableStore } from '../../base/disposable.ts';
import { inBackground } from '../../base/inBackground.ts';
import type { App } from '../app.ts';

/** What is used of the API of VS Code's own git extension. */
interface GitRepository {
  readonly rootUri: Uri;
  readonly state: { readonly HEAD: { readonly name?: string } | undefined; readonly onDidChange: Event<void> };
}
interface GitApi {
  readonly repositories: readonly GitRepository[];
  getRepository(uri: Uri): GitRepository | null;
  readonly onDidOpenRepository: Event<GitRepository>;
}
interface GitExtension {
  readonly enabled: boolean;
  getAPI(version: 1): GitApi;
}

/** The git branches of the open folders, as VS Code's git extension sees them; none where that is off. */
export class GitBranches implements Disposable {
  readonly #onSwitch: () => void;
  readonly #subscriptions = new DisposableStore();
  readonly #last = new Map<string, string>();
  #api: GitApi | null = null;

  /** @param onSwitch called when a folder is on another branch than before, or its first one is known. */
  constructor({ log }: Pick<App, 'log'>, onSwitch: () => void) {
    this.#onSwitch = onSwitch;
    inBackground(log, 'Asking the git extension', this.#follow());
  }

  /** Undefined where it is not known, and where no branch is checked out. */
  of(folder: string): string | undefined {
    return this.#api?.getRepository(Uri.parse(folder))?.state.HEAD?.name;
  }

  dispose(): void {
    this.#subscriptions.dispose();
  }

  async #follow(): Promise<void> {
    const found = extensions.getExtension<GitExtension>('vscode.git');
    const git = await found?.activate();
    // A disabled one has no API.
    if (!git?.enabled) return;
    const api = (this.#api = git.getAPI(1));
    const follow = (repository: GitRepository): void => {
      this.#subscriptions.add(repository.state.onDidChange(() => this.#look(repository)));
      this.#look(repository);
    };
    this.#subscriptions.add(api.onDidOpenRepository(follow));
    for (const repository of api.repositories) follow(repository);
  }

  #look({ rootUri, state }: GitRepository): void {
    const [root, name] = [rootUri.toString(), state.HEAD?.name];
    if (name === undefined || this.#last.get(root) === name) return;
    this.#last.set(root, name);
    this.#onSwitch();
  }
}
