import type { SessionId } from '../../protocol/ids.ts';
import type { ContextTokens, Session } from '../../protocol/schemas/session.ts';
import type { RecoveryReason, StateContent, VersionedState } from '../../protocol/schemas/tracker.ts';

/** What both sides had when they were last synchronised: what changed on which side since is told by it. */
export interface SyncBase extends StateContent {
  /** Of the peer, as it was given. */
  readonly peer: string;
}

/** The state of one session as it is stored. */
export interface StoredState extends VersionedState {
  readonly base: SyncBase | null;
}

/** Where a session's conversation stands. Messages never change, so that their ids are the conversation. */
export interface Conversation {
  readonly branches: Session['branches'];
  readonly activeBranch: string;
  readonly tokens: ContextTokens | null;
}

/** A session as it was at one moment: its state and where its conversation stood. */
export interface RecoveryPoint {
  /** Unique within the session. */
  readonly id: string;
  readonly session: SessionId;
  readonly at: string;
  readonly reason: RecoveryReason;
  /** Version 0: nothing had been stored. */
  readonly state: VersionedState;
  readonly conversation: Conversation;
}

/** Of each session (S3-08). */
export const recoveryPointsKept = 10;

/**
 * Every write that returns has reached the disk. All throw `CwmError`: SessionNotFound when the session is gone, WriteFailed, ReadFailed,
 * StorageFull (nothing was changed then), Corrupted when a record is damaged (it was set aside).
 */
export interface StateStore {
  /** Null when nothing was ever stored. @throws CwmError Corrupted also when it was set aside earlier. */
  load(session: SessionId): Promise<StoredState | null>;
  /**
   * @param fromVersion of the state that it replaces, 0 for none.
   * @throws CwmError VersionConflict when the stored one has another version.
   */
  save(session: SessionId, next: StoredState, fromVersion: number): Promise<void>;
  /** Latest first. `damaged` are the ids of those that cannot be read, and were set aside now. */
  recoveryPoints(session: SessionId): Promise<{ points: readonly RecoveryPoint[]; damaged: readonly string[] }>;
  /**
   * Adds one with the conversation as it is, and lets the oldest go when there are more than {@link recoveryPointsKept}.
   *
   * @param spared id of one that stays all the same, because it is about to be restored: {@link restore} lets it go.
   */
  addRecoveryPoint(point: Omit<RecoveryPoint, 'conversation'>, spared?: string): Promise<RecoveryPoint>;
  /** @throws CwmError Corrupted when token ids or messages that the recovery point names are missing or damaged. */
  checkRecoveryPoint(point: RecoveryPoint): Promise<void>;
  /**
   * Replaces the session and its state, both or neither, also when the process ends in between.
   *
   * @param state null leaves it as it is.
   * @param fromVersion of the state that `state` replaces, 0 for none, null for one that is damaged.
   * @throws CwmError VersionConflict when the session or the state was changed meanwhile.
   */
  restore(session: Session, state: StoredState | null, fromVersion: number | null): Promise<void>;
  /** Sessions whose state is active, the current one first; those that are gone are left out. */
  activeSessions(): Promise<readonly SessionId[]>;
  setActiveSessions(ids: readonly SessionId[]): Promise<void>;
}

/** The other side of a synchronisation: somewhere that keeps states of sessions too. */
export interface StatePeer {
  /** Names it: what was agreed on with one is worth nothing with another. */
  readonly location: string;
  /** Null when it has none of this session. @throws CwmError SyncFailed when it cannot be read, or what it has is damaged. */
  read(session: SessionId): Promise<VersionedState | null>;
  /**
   * @param fromVersion of what it replaces, 0 for nothing.
   * @throws CwmError VersionConflict when somebody else wrote meanwhile, SyncFailed when it cannot be written.
   */
  write(session: SessionId, next: VersionedState, fromVersion: number): Promise<void>;
}

/** Finds the peer behind a location, like a folder's path. */
export interface StatePeers {
  /** @throws CwmError InvalidParameter when the location is none. */
  open(location: string): StatePeer;
}
