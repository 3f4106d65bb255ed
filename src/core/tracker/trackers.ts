import type { Clock } from '../../base/clock.ts';
import { SerialQueue } from '../../base/serialQueue.ts';
import { CwmError, isCwmError } from '../../protocol/errors.ts';
import { parseSessionId, type SessionId } from '../../protocol/ids.ts';
import type { ActiveStates } from '../../protocol/schemas/tracker.ts';
import type { StateStore } from '../ports/states.ts';
import type { Tracker } from './tracker.ts';
import type { TrackerConfig } from './trackerConfig.ts';
import type { TrackerFactory } from './trackerFactory.ts';

/** Stands for the last selected session in place of an id. No id has this character. */
const activeSessionSign = '@';

export interface TrackersParts {
  readonly factory: Pick<TrackerFactory, 'create'>;
  readonly states: Pick<StateStore, 'activeSessions' | 'setActiveSessions'>;
  readonly clock: Pick<Clock, 'elapsedMs'>;
  /** For {@link TrackerConfig.autoCreate}. */
  readonly createSession: (id: SessionId) => Promise<void>;
}

interface Loaded {
  readonly tracker: Promise<Tracker>;
  users: number;
  usedMs: number;
}

/**
 * One tracker for each session in use (S3-09), and the selected sessions (S3-04). Selecting more than {@link TrackerConfig.maxActive}
 * deselects the one that was selected the longest ago.
 */
export class Trackers {
  readonly #parts: TrackersParts;
  readonly #config: TrackerConfig;
  /** Least recently used first. */
  readonly #loaded = new Map<SessionId, Loaded>();
  readonly #activation = new SerialQueue();

  constructor(parts: TrackersParts, config: TrackerConfig) {
    this.#parts = parts;
    this.#config = config;
  }

  get loadedCount(): number {
    return this.#loaded.size;
  }

  /** @throws CwmError SessionNotFound, or why it could not be made, and what the task throws. */
  async use<T>(id: SessionId, task: (tracker: Tracker) => Promise<T>): Promise<T> {
    const loaded = this.#loaded.get(id) ?? { tracker: this.#make(id), users: 0, usedMs: 0 };
    loaded.users++;
    // The last entry of the map is the most recently used one.
    this.#loaded.delete(id);
    this.#loaded.set(id, loaded);
    try {
      return await task(await loaded.tracker);
    } finally {
      loaded.users--;
      loaded.usedMs = this.#parts.clock.elapsedMs();
      this.#unload(loaded.usedMs);
    }
  }

  /** Call it when the session was deleted, or replaced by another one. */
  forget(id: SessionId): void {
    this.#loaded.delete(id);
  }

  /** @throws CwmError InvalidSessionId, or NotInitialized for {@link activeSessionSign} while no session is selected. */
  async resolve(session: string): Promise<SessionId> {
    if (session !== activeSessionSign) return parseSessionId(session);
    const [current] = await this.#activation.run(() => this.#activeIds());
    if (current !== undefined) return current;
    throw new CwmError('NotInitialized', 'No session is active.');
  }

  /** Makes it the last selected one, also when it was selected already. @throws CwmError SessionNotFound. */
  activate(id: SessionId): Promise<ActiveStates> {
    return this.#activation.run(async () => {
      await this.#ofActivated(id);
      const others = (await this.#parts.states.activeSessions()).filter((other) => other !== id);
      const active = [id, ...others];
      const kept = active.slice(0, this.#config.maxActive);
      await this.#parts.states.setActiveSessions(kept);
      return this.#view(kept, active[this.#config.maxActive] ?? null);
    });
  }

  /** Deselects the last selected session; the one before becomes the last selected. Does nothing when none is selected. */
  deactivate(): Promise<ActiveStates> {
    return this.#activation.run(async () => {
      const [current, ...others] = await this.#parts.states.activeSessions();
      if (current !== undefined) await this.#parts.states.setActiveSessions(others);
      return this.#view(others, null);
    });
  }

  active(): Promise<ActiveStates> {
    return this.#activation.run(async () => this.#view(await this.#activeIds(), null));
  }

  async #activeIds(): Promise<readonly SessionId[]> {
    const ids = await this.#parts.states.activeSessions();
    const { defaultSession } = this.#config;
    if (ids.length > 0 || defaultSession === null) return ids;
    const id = parseSessionId(defaultSession);
    await this.#ofActivated(id);
    await this.#parts.states.setActiveSessions([id]);
    return [id];
  }

  async #ofActivated(id: SessionId): Promise<void> {
    try {
      await this.use(id, async () => undefined);
    } catch (error) {
      const isMissing = isCwmError(error, 'SessionNotFound');
      if (!isMissing || !this.#config.autoCreate) throw error;
      await this.#parts.createSession(id);
    }
  }

  async #view(active: readonly SessionId[], deactivated: SessionId | null): Promise<ActiveStates> {
    const [current] = active;
    return {
      current: current === undefined ? null : await this.use(current, (tracker) => tracker.getState()),
      active: [...active],
      deactivated,
    };
  }

  async #make(id: SessionId): Promise<Tracker> {
    const made = await this.#parts.factory.create(id);
    if (!(made instanceof CwmError)) return made;
    // A session that is created later must be found then.
    this.#loaded.delete(id);
    throw made;
  }

  /** A tracker in use stays, because a second one of its session would not know its changes. */
  #unload(nowMs: number): void {
    let tooMany = this.#loaded.size - this.#config.maxLoaded;
    for (const [id, { users, usedMs }] of this.#loaded) {
      if (users > 0 || (tooMany <= 0 && nowMs - usedMs < this.#config.idleMs)) continue;
      this.#loaded.delete(id);
      tooMany--;
    }
  }
}
