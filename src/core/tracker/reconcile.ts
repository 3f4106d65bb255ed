import { CwmError } from '../../protocol/errors.ts';
import type { ConflictPolicy, StateContent, VersionedState } from '../../protocol/schemas/tracker.ts';
import { mergeContent } from './merge.ts';
import { canonicalJson, contentOf, sameContent } from './state.ts';

export interface Sides {
  readonly local: VersionedState;
  readonly peer: VersionedState;
  /** The content of both sides when they last agreed. */
  readonly base: StateContent;
}

export interface Agreement {
  readonly content: StateContent;
  /** Both sides had been changed, in different ways. */
  readonly conflict: boolean;
}

/** What a policy decides on: both sides were changed since `base`, in different ways. */
export interface Conflict {
  readonly base: StateContent;
  readonly latest: VersionedState;
  readonly oldest: VersionedState;
  readonly local: VersionedState;
  readonly peer: VersionedState;
}

/** Says which content both sides get. Both must come to the same, whichever of them asks. @throws CwmError SyncConflict. */
export type ConflictResolver = (conflict: Conflict) => StateContent;

/** By name; a new one is a row here, or is given to the core. */
export const builtInResolvers = {
  'keep-latest': ({ latest }) => contentOf(latest),
  'keep-oldest': ({ oldest }) => contentOf(oldest),
  merge: ({ base, latest, oldest }) => mergeContent(base, latest, oldest),
  manual: ({ local, peer }) => {
    throw new CwmError('SyncConflict', 'The state was changed on both sides.', { context: { local, peer } });
  },
} as const satisfies Readonly<Record<ConflictPolicy, ConflictResolver>>;

/**
 * The content that both sides agree on (S3-05). A side without changes since the base takes the other side's content, under every
 * policy.
 *
 * @throws CwmError SyncConflict that lists both, when both were changed and the policy is `manual`.
 */
export function reconcile({ local, peer, base }: Sides, resolve: ConflictResolver): Agreement {
  if (sameContent(local, peer)) return { content: contentOf(local), conflict: false };
  if (sameContent(local, base)) return { content: contentOf(peer), conflict: false };
  if (sameContent(peer, base)) return { content: contentOf(local), conflict: false };
  const [latest, oldest] = isLater(local, peer) ? [local, peer] : [peer, local];
  return { content: resolve({ base, latest, oldest, local, peer }), conflict: true };
}

/** Both sides get the same order: by time, then by version, then by content. */
function isLater(a: VersionedState, b: VersionedState): boolean {
  if (a.lastUpdated !== b.lastUpdated) return a.lastUpdated > b.lastUpdated;
  if (a.version !== b.version) return a.version > b.version;
  return canonicalJson(contentOf(a)) > canonicalJson(contentOf(b));
}
