import type { SessionId } from '../../protocol/ids.ts';
import type { StatePeers } from '../ports/states.ts';
import type { Trackers } from './trackers.ts';

export interface AutoSyncConfig {
  /** Absolute path of the folder to synchronise with. */
  readonly folder: string;
  /** From the end of one round to the beginning of the next; 0 is never (S3-05). */
  readonly intervalMs: number;
}

/**
 * Synchronises the states of the selected sessions with a folder, again and again. When both sides were changed, it merges them: nobody
 * is there to ask, and the replaced state has a recovery point.
 */
export class AutoSync {
  readonly #trackers: Trackers;
  readonly #peers: StatePeers;
  readonly #config: AutoSyncConfig;
  readonly #onFailure: (error: unknown) => void;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isClosed = false;

  /** @param onFailure gets the error; the next round tries again. */
  constructor(trackers: Trackers, peers: StatePeers, config: AutoSyncConfig, onFailure: (error: unknown) => void) {
    this.#trackers = trackers;
    this.#peers = peers;
    this.#config = config;
    this.#onFailure = onFailure;
  }

  start(): void {
    if (this.#isClosed || this.#config.intervalMs === 0) return;
    this.#timer = setTimeout(() => {
      void this.#syncAll().finally(() => this.start());
    }, this.#config.intervalMs);
    this.#timer.unref();
  }

  /** Does not wait for a running round, because a folder may not answer. The next round finishes what is half done. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  /** Never rejects. */
  async #syncAll(): Promise<void> {
    try {
      const { active } = await this.#trackers.selected();
      for (const id of active) if (!this.#isClosed) await this.#syncOne(id);
    } catch (error) {
      if (!this.#isClosed) this.#onFailure(error);
    }
  }

  async #syncOne(id: SessionId): Promise<void> {
    try {
      const peer = this.#peers.open(this.#config.folder);
      await this.#trackers.use(id, (tracker) => tracker.sync(peer, 'sync', 'merge'));
    } catch (error) {
      if (!this.#isClosed) this.#onFailure(error);
    }
  }
}
