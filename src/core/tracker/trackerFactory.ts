import { CwmError } from '../../protocol/errors.ts';
import type { SessionId } from '../../protocol/ids.ts';
import { Tracker } from './tracker.ts';
import type { TrackerParts } from './trackerParts.ts';
import { parseTrackerConfig, type TrackerConfig } from './trackerConfig.ts';

/** Makes trackers (S3-03). Returns an error instead of throwing it. */
export class TrackerFactory {
  readonly #parts: TrackerParts | null;
  readonly #config: Partial<TrackerConfig>;

  /** @param parts null: there is no store for states yet. */
  constructor(parts: TrackerParts | null, config: Partial<TrackerConfig> = {}) {
    this.#parts = parts;
    this.#config = config;
  }

  /** @returns an error NotInitialized (no parts), InvalidConfig (config), SessionNotFound (no such session) or of the store. */
  create(session: SessionId): Promise<Tracker | CwmError> {
    return this.createWithConfig(session, {});
  }

  /** Like {@link create}, with these parts or settings in place of the factory's own. */
  async createWithConfig(session: SessionId, config: Partial<TrackerConfig>): Promise<Tracker | CwmError> {
    try {
      if (this.#parts === null) throw new CwmError('NotInitialized', 'The tracker has nowhere to keep states yet.');
      const tracker = new Tracker(this.#parts, session, parseTrackerConfig({ ...this.#config, ...config }));
      // A session whose state is damaged can still go back to a recovery point.
      await tracker.isValid();
      return tracker;
    } catch (error) {
      if (error instanceof CwmError) return error;
      throw error;
    }
  }
}
