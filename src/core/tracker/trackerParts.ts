import type { Clock } from '../../base/clock.ts';
import type { SessionId } from '../../protocol/ids.ts';
import type { Session } from '../../protocol/schemas/session.ts';
import type { StateStore } from '../ports/states.ts';
import type { ConflictResolver } from './reconcile.ts';
import type { StateValidator } from './validateState.ts';

/** The objects that a tracker uses; each can be replaced. */
export interface TrackerParts {
  readonly states: StateStore;
  /** @throws CwmError SessionNotFound when it is gone. */
  readonly readSession: (id: SessionId) => Promise<Session>;
  readonly clock: Pick<Clock, 'now'>;
  /** Eight hexadecimal digits. */
  readonly newPointId: () => string;
  readonly validate: StateValidator;
  /** Policies for what was changed on both sides, by name, beside those that are built in. Default: none. */
  readonly resolvers?: Readonly<Record<string, ConflictResolver>>;
}
