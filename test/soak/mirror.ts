import type { BackendClient } from '../../src/client/backendClient.ts';
import type { Signal } from '../../src/protocol/signals.ts';
import { CwmError } from '../../src/protocol/errors.ts';
import type { Session } from '../../src/protocol/schemas/session.ts';
import type { Picture } from './request.ts';

/** What a window of VS Code shows: everything once, then what the signals say has changed. */
export class Mirror {
  readonly #client: BackendClient;
  readonly #sessions = new Map<string, string>();
  readonly #windows = new Set<string>();
  #work = Promise.resolve();

  constructor(client: BackendClient) {
    this.#client = client;
    client.onSignal(({ change }) => {
      this.#work = this.#work.then(() => this.#pull(change));
    });
  }

  /** Once everything that was heard of is pulled. */
  async picture(): Promise<Picture> {
    await this.#work;
    return { sessions: Object.fromEntries(this.#sessions), windows: [...this.#windows].sort() };
  }

  async #pull(change: Signal['change']): Promise<void> {
    if (change.type === 'resync') await this.#pullAll();
    if (change.type === 'session') {
      const session = await this.#ifThere(() => this.#client.call('getSession', { session: change.session }));
      if (session) this.#sessions.set(change.session, describe(session));
      else this.#sessions.delete(change.session);
    }
    if (change.type === 'window') {
      const window = await this.#ifThere(() => this.#client.call('getWindow', { window: change.window }));
      if (window) this.#windows.add(change.window);
      else this.#windows.delete(change.window);
    }
  }

  async #pullAll(): Promise<void> {
    const sessions = await this.#ifThere(() => this.#client.call('listSessions', { limit: 100 }));
    const windows = await this.#ifThere(() => this.#client.call('listWindows', { limit: 100 }));
    if (!sessions || !windows) return;
    if (sessions.hasMore || windows.hasMore) throw new Error('There is more than one page: the mirror is too small.');
    this.#sessions.clear();
    this.#windows.clear();
    for (const session of sessions.items) this.#sessions.set(session.id, describe(session));
    for (const { name } of windows.items) this.#windows.add(name);
  }

  /** Null when it is not there, or the backend has gone: the next one says `resync`. */
  async #ifThere<T>(pull: () => Promise<T>): Promise<T | null> {
    try {
      return await pull();
    } catch (error) {
      const codes = ['CWM-2001', 'CWM-2002', 'CWM-5010'];
      if (error instanceof CwmError && codes.includes(error.code)) return null;
      throw error;
    }
  }
}

export function describe({ lifecycle, branches, activeBranch }: Session): string {
  return `${lifecycle}, ${branches[activeBranch]?.length ?? 0} messages`;
}
