import { CwmError } from '../../protocol/errors.ts';

export interface TrackerConfig {
  /** Changes of one session that follow each other within this time share one recovery point; 0: each has its own. */
  readonly coalesceMs: number;
  /** Trackers that are kept in memory; the one used the longest ago goes first (S3-09). */
  readonly maxLoaded: number;
  /** A tracker that nobody used for so long leaves the memory (S3-09). */
  readonly idleMs: number;
  /** Sessions that can be active at once (S3-04). */
  readonly maxActive: number;
  /** Whether activating a session that is not there makes it. Off: a wrong letter would make one. */
  readonly autoCreate: boolean;
  /** Session that is active when nobody activated one; null for none. */
  readonly defaultSession: string | null;
}

export const defaultTrackerConfig: TrackerConfig = {
  coalesceMs: 60_000,
  maxLoaded: 100,
  idleMs: 3_600_000,
  maxActive: 5,
  autoCreate: false,
  defaultSession: null,
};

/** @throws CwmError InvalidConfig that names what is out of range. */
export function parseTrackerConfig(given: Partial<TrackerConfig>): TrackerConfig {
  const config = { ...defaultTrackerConfig, ...given };
  const lowest = { coalesceMs: 0, maxLoaded: 1, idleMs: 1, maxActive: 1 };
  for (const [name, least] of Object.entries(lowest)) {
    const value = config[name as keyof typeof lowest];
    if (!Number.isSafeInteger(value) || value < least) {
      throw new CwmError('InvalidConfig', `"${name}" of the tracker must be a whole number, ${least} or more.`);
    }
  }
  return config;
}
