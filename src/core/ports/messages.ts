import type { MessageId, ProjectUri, SessionId } from '../../protocol/ids.ts';
import type { MemoryRecord, Note } from '../../protocol/memory/records.ts';
import type { Message } from '../../protocol/schemas/session.ts';

/** The messages of each session, a pool that only grows. Each names the one before it; a branch names its last one. */
export interface MessageStore {
  /** A message is stored whole or not at all, and never changes. */
  append(session: SessionId, messages: readonly Message[]): Promise<void>;
  /**
   * Ids of the messages that lead to this one, oldest first, this one last; none for null.
   *
   * @throws CwmError Corrupted when one between is lost so that what came before it is unknown.
   */
  chain(session: SessionId, head: MessageId | null): Promise<readonly MessageId[]>;
  /** In the order asked for. @throws CwmError MessageNotFound when one does not exist. */
  load(session: SessionId, ids: readonly MessageId[]): Promise<Message[]>;
  /**
   * As {@link load}, but a stand-in, marked `lost`, takes the place of each message that is damaged or missing.
   *
   * @param firstSequence place of the first of `ids` in its conversation; default 1.
   */
  loadOrStandIns(session: SessionId, ids: readonly MessageId[], firstSequence?: number): Promise<Message[]>;
}

/** What the virtual memory of each session recorded, oldest first: a log that only grows. The messages themselves stay in {@link MessageStore}. */
export interface MemoryStore {
  /** Damaged records are left out, and the store tells of them. @throws CwmError SessionNotFound. */
  load(session: SessionId): Promise<readonly MemoryRecord[]>;
  /** All of them are stored, in this order, or none is. @throws CwmError SessionNotFound. */
  append(session: SessionId, records: readonly MemoryRecord[]): Promise<void>;
  /** All versions of what is remembered for a project, or for the user where it is null; oldest first. Damaged ones are left out. */
  notes(project: ProjectUri | null): Promise<readonly Note[]>;
  /** Stores the version that `change` makes of them; no other change comes between. Nothing is stored where it throws. */
  changeNotes(project: ProjectUri | null, change: (notes: readonly Note[]) => Note): Promise<void>;
}
