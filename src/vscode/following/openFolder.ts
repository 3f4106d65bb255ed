import { inBackground } from '../../base/inBackground.ts';
import type { Disposable } from '../../base/disposable.ts';
import { DisposableStore } from '../../base/disposable.ts';
import { SerialQueue } from '../../base/serialQueue.ts';
import { parseProjectUri, type ProjectUri } from '../../protocol/ids.ts';
import type { App } from '../app.ts';

interface FolderApp extends Pick<App, 'state' | 'connection' | 'log'> {
  readonly puller: Pick<App['puller'], 'all'>;
}

/** Which git branch a folder is on, and whether a session is remembered for each. */
export type BranchOf = (project: ProjectUri) => { readonly gitBranch?: string; readonly eachBranch?: true };

/**
 * Tells the backend which folder the user works in, so that its conversation is warm before anybody asks for it, and puts the receipt of that
 * into the state.
 */
export class FolderOpener implements Disposable {
  readonly #app: FolderApp;
  readonly #mayRecord: () => boolean;
  readonly #branch: BranchOf;
  readonly #subscriptions = new DisposableStore();
  /** What the connected backend has been told, or is about to be. */
  #opened: ProjectUri | null = null;
  /** What it was told last. */
  #told: ProjectUri | null = null;
  /** The backend would not keep two calls in order, and the older git branch could win. */
  readonly #calls = new SerialQueue();
  /** What the last call said besides the folder. */
  #said = '';

  /** @param mayRecord whether anything of the folder may be saved without being asked. @param branch default: none is known. */
  constructor(app: FolderApp, mayRecord: () => boolean, branch: BranchOf = () => ({})) {
    this.#branch = branch;
    this.#app = app;
    this.#mayRecord = mayRecord;
    this.#subscriptions.add(app.state.render(['project', 'connection'], () => this.#follow()));
    this.#subscriptions.add(
      app.connection.onChange((change) => {
        if (change.type !== 'project' || change.project !== this.#opened) return;
        inBackground(app.log, 'Fetching what opening the folder did', this.#fetch(this.#opened));
      }),
    );
  }

  /** Saves what was said in the folder. Never rejects, and starts no backend. */
  async close(): Promise<void> {
    const project = this.#opened;
    this.#opened = null;
    this.#told = null;
    if (project === null || !this.#app.connection.isOpen) return;
    await this.#app.connection.call('closeProject', { project }).catch((error: unknown) => {
      this.#app.log.error('Leaving the folder failed.', error);
    });
  }

  /** What may be recorded, or the git branch, may have changed. */
  again(): void {
    const opened = this.#opened;
    if (opened !== null && this.#said === JSON.stringify(this.#saying(opened))) return;
    this.#opened = null;
    if (opened !== null) this.#follow();
  }

  dispose(): void {
    this.#subscriptions.dispose();
  }

  #follow(): void {
    const { project, connection } = this.#app.state.current;
    if (connection.kind !== 'connected') this.#opened = this.#told = null;
    else if (project.kind === 'folder' && project.uri !== this.#opened) {
      this.#opened = project.uri;
      inBackground(
        this.#app.log,
        'Opening the folder',
        this.#calls.run(() => this.#open(project.uri)),
      );
    }
  }

  #saying(project: ProjectUri) {
    return { record: this.#mayRecord(), ...this.#branch(project) };
  }

  /** The project may be that of a folder above, which has the configuration. */
  async #open(given: ProjectUri): Promise<void> {
    // It was closed, its backend ended, or the user went on to another folder, while this call waited.
    if (this.#opened !== given) return;
    const leaving = this.#told;
    const saying = this.#saying(given);
    this.#said = JSON.stringify(saying);
    const input = { project: given, ...(leaving !== null && leaving !== given && { leaving }), ...saying };
    const answer = await this.#app.connection.call('openProject', input);
    if (this.#opened !== null) this.#told = parseProjectUri(answer.project);
    const { project, warmings } = this.#app.state.current;
    const { session, warming } = answer;
    if (session && warming?.state === 'ask')
      this.#app.state.update({ warmings: new Map(warmings).set(session.id, warming) });
    const uri = parseProjectUri(answer.project);
    if (project.kind !== 'folder' || project.uri !== given || uri === project.uri) return;
    this.#opened = uri;
    const name = answer.resolution?.name ?? project.name;
    const of = { ...project, uri, name, opened: given };
    this.#app.state.update({ project: of, currentSession: { kind: 'unknown' } });
    await this.#app.puller.all();
  }

  async #fetch(project: ProjectUri): Promise<void> {
    const { session, warming } = await this.#app.connection.call('openedProject', { project });
    const { state } = this.#app;
    if (!session || !warming || this.#opened !== project) return;
    const { receipt } = warming;
    state.update({
      warmings: new Map(state.current.warmings).set(session.id, warming),
      ...(receipt && { receipts: new Map(state.current.receipts).set(session.id, receipt) }),
    });
  }
}
