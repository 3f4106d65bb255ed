import type { Disposable } from '../../base/disposable.ts';
import type { Dispatch } from './dispatch.ts';

/** A stream of signals that breaks comes back sooner than this. */
const goneAfterMs = 5000;

/**
 * Which folder each client works in, by its own calls. An editor that is killed, or whose machine loses the connection, says no goodbye: when
 * its stream of signals has ended, its folder is left in its name.
 */
export class ClientFolders implements Disposable {
  readonly #leave: (client: string, project: string) => Promise<unknown>;
  readonly #folders = new Map<string, string>();
  /** How many streams each client reads. */
  readonly #streams = new Map<string, number>();
  readonly #gone = new Map<string, NodeJS.Timeout>();
  #isEnded = false;

  constructor(leave: (client: string, project: string) => Promise<unknown>) {
    this.#leave = leave;
  }

  /** Notes what passes through. */
  noting(dispatch: Dispatch): Dispatch {
    return async (request, signal, reporter) => {
      const result = await dispatch(request, signal, reporter);
      const { route, client, input } = request;
      if (route === 'openProject') this.#folders.set(client, (input as { project: string }).project);
      else if (route === 'closeProject') this.#folders.delete(client);
      return result;
    };
  }

  /** Until the result is disposed, the client is there. */
  listen(client: string): Disposable {
    clearTimeout(this.#gone.get(client));
    this.#gone.delete(client);
    this.#streams.set(client, (this.#streams.get(client) ?? 0) + 1);
    return { dispose: () => this.#ended(client) };
  }

  isListening(client: string): boolean {
    return this.#streams.has(client);
  }

  dispose(): void {
    this.#isEnded = true;
    for (const timer of this.#gone.values()) clearTimeout(timer);
    this.#gone.clear();
  }

  #ended(client: string): void {
    const left = (this.#streams.get(client) ?? 1) - 1;
    if (left > 0) this.#streams.set(client, left);
    else this.#streams.delete(client);
    if (left > 0 || this.#isEnded || !this.#folders.has(client)) return;
    const timer = setTimeout(() => {
      this.#gone.delete(client);
      const project = this.#folders.get(client);
      this.#folders.delete(client);
      // Its failure is in the log, and nobody waits for it.
      if (project !== undefined) this.#leave(client, project).catch(() => undefined);
    }, goneAfterMs);
    timer.unref();
    this.#gone.set(client, timer);
  }
}
