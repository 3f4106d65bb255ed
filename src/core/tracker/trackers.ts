import type { Clock } from '../../base/clock.ts';
import { SerialQueue } from '../../base/serialQueue.ts';
import { CwmError, isCwmError } from '../../protocol/errors.ts';
import { parseSessionId, type SessionId } from '../../protocol/ids.ts';
import type { SelectedSessions } from '../../protocol/schemas/tracker.ts';
import type { StateStore } from '../ports/states.ts';
import type { Tracker } from './tracker.ts';
import type { TrackerConfig } from './trackerConfig.ts';
import type { TrackerFactory } from './trackerFactory.ts';

/** Stands for the last selected session in place of an id. No id has this character. */
const lastSelectedSign = '@';

export interface TrackersParts {
  readonly factory: Pick<TrackerFactory, 'create'>;
  readonly states: Pick<StateStore, 'selectedSessions' | 'setSelectedSessions'>;
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
 * One tracker for each session in use (S3-09), and the selected sessions (S3-04). Selecting more than {@link TrackerConfig.maxSelected}
 * deselects the one that was selected the longest ago.
 */
export class Trackers {
  readonly #parts: TrackersParts;
  readonly #config: TrackerConfig;
  /** Least recently used first. */
  readonly #loaded = new Map<SessionId, Loaded>();
  readonly #selection = new SerialQueue();

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

  /** @throws CwmError InvalidSessionId, or NotInitialized for {@link lastSelectedSign} while no session is selected. */
  async resolve(session: string): Promise<SessionId> {
    if (session !== lastSelectedSign) return parseSessionId(session);
    const [current] = await this.#selection.run(() => this.#selectedIds());
    if (current !== undefined) return current;
    throw new CwmError('NotInitialized', 'No session is selected.');
  }

  /** Makes it the last selected one, also when it was selected already. @throws CwmError SessionNotFound. */
  select(id: SessionId): Promise<SelectedSessions> {
    return this.#selection.run(async () => {
      await this.#requireSelectable(id);
      const others = (await this.#parts.states.selectedSessions()).filter((other) => other !== id);
      const wanted = [id, ...others];
      const selected = wanted.slice(0, this.#config.maxSelected);
      await this.#parts.states.setSelectedSessions(selected);
      return this.#view(selected, wanted[this.#config.maxSelected] ?? null);
    });
  }

  /** Deselects the last selected session; the one before becomes the last selected. Does nothing when none is selected. */
  deselect(): Promise<SelectedSessions> {
    return this.#selection.run(async () => {
      const [current, ...others] = await this.#parts.states.selectedSessions();
      if (current !== undefined) await this.#parts.states.setSelectedSessions(others);
      return this.#view(others, null);
    });
  }

  selected(): Promise<SelectedSessions> {
    return this.#selection.run(async () => this.#view(await this.#selectedIds(), null));
  }

  async #selectedIds(): Promise<readonly SessionId[]> {
    const ids = await this.#parts.states.selectedSessions();
    const { defaultSession } = this.#config;
    if (ids.length > 0 || defaultSession === null) return ids;
    const id = parseSessionId(defaultSession);
    await this.#requireSelectable(id);
    await this.#parts.states.setSelectedSessions([id]);
    return [id];
  }

  async #requireSelectable(id: SessionId): Promise<void> {
    try {
      await this.use(id, async () => undefined);
    } catch (error) {
      const isMissing = isCwmError(error, 'SessionNotFound');
      if (!isMissing || !this.#config.autoCreate) throw error;
      await this.#parts.createSession(id);
    }
  }

  async #view(selected: readonly SessionId[], deselected: SessionId | null): Promise<SelectedSessions> {
    const [current] = selected;
    return {
      current: current === undefined ? null : await this.use(current, (tracker) => tracker.getState()),
      active: [...selected],
      deactivated: deselected,
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
