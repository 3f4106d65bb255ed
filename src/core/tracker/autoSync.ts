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
 * Synchronises the states of the active sessions with a folder, again and again. Where both sides were changed they are merged: nobody
 * is there to ask, and what is replaced has its recovery point.
 */
export class AutoSync {
  readonly #trackers: Trackers;
  readonly #peers: StatePeers;
  readonly #config: AutoSyncConfig;
  readonly #onFailure: (error: unknown) => void;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isClosed = false;

  /** @param onFailure hears what went wrong; the next round tries again. */
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

  /** Waits for nothing: a folder that does not answer holds up no end, and what is half done is taken up by the next round. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  /** Never rejects. */
  async #syncAll(): Promise<void> {
    try {
      const { active } = await this.#trackers.active();
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
