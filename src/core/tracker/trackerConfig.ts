import { CwmError } from '../../protocol/errors.ts';

export interface TrackerConfig {
  /** Changes of one session that follow each other within this time share one recovery point; 0: each has its own. */
  readonly coalesceMs: number;
  /** Trackers that stay in memory; the least recently used one is removed first (S3-09). */
  readonly maxLoaded: number;
  /** A tracker that was not used for so long is removed from memory (S3-09). */
  readonly idleMs: number;
  /** Sessions that can be selected at once (S3-04). */
  readonly maxSelected: number;
  /** Whether selecting a missing session creates it. Default off, because a typing mistake would create one. */
  readonly autoCreate: boolean;
  /** Session that is selected when no client selected one; null for none. */
  readonly defaultSession: string | null;
}

const defaultTrackerConfig: TrackerConfig = {
  coalesceMs: 60_000,
  maxLoaded: 100,
  idleMs: 3_600_000,
  maxSelected: 5,
  autoCreate: false,
  defaultSession: null,
};

/** @throws CwmError InvalidConfig that names what is out of range. */
export function parseTrackerConfig(given: Partial<TrackerConfig>): TrackerConfig {
  const config = { ...defaultTrackerConfig, ...given };
  const lowest = { coalesceMs: 0, maxLoaded: 1, idleMs: 1, maxSelected: 1 };
  for (const [name, least] of Object.entries(lowest)) {
    const value = config[name as keyof typeof lowest];
    if (!Number.isSafeInteger(value) || value < least) {
      throw new CwmError('InvalidConfig', `"${name}" of the tracker must be a whole number, ${least} or more.`);
    }
  }
  return config;
}
