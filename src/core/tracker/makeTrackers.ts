import type { Clock } from '../../base/clock.ts';
import { randomId } from '../../base/hash.ts';
import { CwmError } from '../../protocol/errors.ts';
import type { SessionId } from '../../protocol/ids.ts';
import type { Session } from '../../protocol/schemas/session.ts';
import { requireSession } from '../session.ts';
import type { StatePeers } from '../ports/states.ts';
import type { Store } from '../ports/store.ts';
import type { ConflictResolver } from './reconcile.ts';
import { parseTrackerConfig, type TrackerConfig } from './trackerConfig.ts';
import { TrackerFactory } from './trackerFactory.ts';
import { Trackers } from './trackers.ts';
import { validateState } from './validateState.ts';

/** The trackers over a store. @param createSession for sessions that are created by selecting them. @param resolvers as {@link TrackerParts} has them. */
export function makeTrackers(
  store: Store,
  clock: Clock,
  given: Partial<TrackerConfig>,
  createSession: (id: SessionId) => Promise<void>,
  resolvers: Readonly<Record<string, ConflictResolver>> = {},
): Trackers {
  const config = parseTrackerConfig(given);
  const readSession = (id: SessionId): Promise<Session> => requireSession({ store }, id);
  const newPointId = (): string => randomId().slice(0, 8);
  const { states } = store;
  const factory = new TrackerFactory(
    { states, readSession, clock, newPointId, validate: validateState, resolvers },
    config,
  );
  return new Trackers({ factory, states, clock, createSession }, config);
}

/** For a core without folders to synchronise with. */
export const noPeers: StatePeers = {
  open: (location) => {
    throw new CwmError(
      'SyncFailed',
      `Nothing can be synchronised with ${JSON.stringify(location.slice(0, 200))} here.`,
    );
  },
};
