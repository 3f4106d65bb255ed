import { CwmError, isCwmError } from '../../protocol/errors.ts';
import type { SessionId } from '../../protocol/ids.ts';
import type { StateContent, SyncDirection, SyncResult, VersionedState } from '../../protocol/schemas/tracker.ts';
import type { StatePeer, StoredState } from '../ports/states.ts';
import { reconcile, type ConflictResolver } from './reconcile.ts';
import { contentOf, emptyState, sameContent } from './state.ts';
import { requireValid, type StateValidator } from './validateState.ts';

/** How often another client may write to the peer during one synchronisation. */
const maxAttempts = 5;

export interface SyncRequest {
  readonly session: SessionId;
  readonly local: StoredState;
  readonly peer: StatePeer;
  readonly direction: SyncDirection;
  readonly resolve: ConflictResolver;
  readonly now: Date;
  readonly validate: StateValidator;
  /** Called before the first change, when the session's state is about to change. */
  readonly beforePull: () => Promise<void>;
}

type Synchronized = Omit<SyncResult, 'state'> & {
  /** The session's new state; `local` itself when nothing needs to be written. */
  readonly next: StoredState;
};

/**
 * Updates the peer and returns the session's new state. The peer is written first: when writing the session then fails, the next
 * synchronisation only has to pull.
 */
export async function synchronize(request: SyncRequest): Promise<Synchronized> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await synchronizeOnce(request);
    } catch (error) {
      const isOvertaken = isCwmError(error, 'VersionConflict');
      if (!isOvertaken) throw error;
      if (attempt === maxAttempts) {
        throw new CwmError('SyncFailed', `${request.peer.location} is being changed all the time.`, { cause: error });
      }
    }
  }
}

async function synchronizeOnce(request: SyncRequest): Promise<Synchronized> {
  const { session, local, peer, direction, resolve, now } = request;
  const { location } = peer;
  const base = local.base?.peer === location ? local.base : null;
  const agreed = base ?? emptyState('');
  const stored = await peer.read(session);
  // A missing state counts as not changed: the agreed content is written there again.
  const theirs: VersionedState = stored ?? { ...emptyState(''), ...contentOf(agreed) };
  const { content, conflict } = reconcile({ local, peer: theirs, base: agreed }, resolve);
  requireValid(content, request.validate);
  const pulled = direction !== 'push' && !sameContent(content, local);
  const isMissing = stored === null && local.version > 0;
  const pushed = direction !== 'pull' && (isMissing || !sameContent(content, theirs));
  const merged: VersionedState = { ...content, ...stampOf(content, local, theirs, now) };
  if (pulled) await request.beforePull();
  if (pushed) await peer.write(session, merged, theirs.version);
  const nextBase = direction === 'sync' ? content : direction === 'pull' ? contentOf(theirs) : contentOf(local);
  const isKnown = base !== null && sameContent(base, nextBase);
  if (!pulled && isKnown) return { next: local, pulled, pushed, conflict };
  const next = { ...(pulled ? merged : local), base: { peer: location, ...nextBase } };
  return { next, pulled, pushed, conflict };
}

/** Version and time of the new content: those of the side that had it, if its version is the higher one. */
function stampOf(
  content: StateContent,
  local: VersionedState,
  theirs: VersionedState,
  now: Date,
): Pick<VersionedState, 'version' | 'lastUpdated'> {
  const lastUpdated = [local.lastUpdated, theirs.lastUpdated].sort().at(-1) ?? now.toISOString();
  const isTheirs = sameContent(content, theirs) && theirs.version > local.version;
  const isOurs = sameContent(content, local) && local.version > theirs.version;
  if (isTheirs || isOurs) return { version: Math.max(local.version, theirs.version), lastUpdated };
  const stamp = now.toISOString();
  return {
    version: Math.max(local.version, theirs.version) + 1,
    lastUpdated: stamp > lastUpdated ? stamp : lastUpdated,
  };
}
