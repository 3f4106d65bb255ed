import type { SessionId } from '../../protocol/ids.ts';
import type { ContextTokens, Session } from '../../protocol/schemas/session.ts';
import type { RecoveryReason, StateContent, VersionedState } from '../../protocol/schemas/tracker.ts';

/** The content of both sides after the last synchronisation. It shows which side has changed what since. */
export interface SyncBase extends StateContent {
  /** The location of the peer, as the caller gave it. */
  readonly peer: string;
}

/** The state of one session as it is stored. */
export interface StoredState extends VersionedState {
  readonly base: SyncBase | null;
}

/** Where a session's conversation stands. Messages never change, so that their ids are the conversation. */
export interface ConversationPlace {
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
  readonly conversation: ConversationPlace;
}

/** Number of recovery points of each session (S3-08). */
export const recoveryPointsKept = 10;

/** All methods but `selectedSessions` and `setSelectedSessions` throw CwmError SessionNotFound when the session is gone. */
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
   * Adds one with the current conversation, and removes the oldest when there are more than {@link recoveryPointsKept}.
   *
   * @param spared id of one that stays all the same, because the session is about to go back to it: {@link restore} removes it.
   */
  addRecoveryPoint(point: Omit<RecoveryPoint, 'conversation'>, spared?: string): Promise<RecoveryPoint>;
  /** @throws CwmError Corrupted when token ids or messages that the recovery point names are missing or damaged. */
  checkRecoveryPoint(point: RecoveryPoint): Promise<void>;
  /**
   * Replaces the session and its state, both or neither, also when the process ends in between.
   *
   * @param state null leaves it as it is.
   * @param fromVersion of the state that `state` replaces, 0 for none, null for one that is damaged.
   * @throws CwmError VersionConflict when the session or the state has been changed since.
   */
  restore(session: Session, state: StoredState | null, fromVersion: number | null): Promise<void>;
  /** Selected sessions, the last selected one first; deleted ones are left out. */
  selectedSessions(): Promise<readonly SessionId[]>;
  /** @returns the sessions that were selected before; none when the list could not be read. */
  setSelectedSessions(ids: readonly SessionId[]): Promise<readonly SessionId[]>;
}

/** The other side of a synchronisation: another place that stores states of sessions. */
export interface StatePeer {
  /** Its name. A base that was agreed on with one peer says nothing about another. */
  readonly location: string;
  /** Null when it has no state of this session. @throws CwmError SyncFailed when it cannot be read, or what it has is damaged. */
  read(session: SessionId): Promise<VersionedState | null>;
  /**
   * @param fromVersion of the state that it replaces, 0 for none.
   * @throws CwmError VersionConflict when another client wrote first, SyncFailed when it cannot be written.
   */
  write(session: SessionId, next: VersionedState, fromVersion: number): Promise<void>;
}

/** Finds the peer behind a location, like a folder's path. */
export interface StatePeers {
  /** @throws CwmError InvalidParameter when it is no location. */
  open(location: string): StatePeer;
}
