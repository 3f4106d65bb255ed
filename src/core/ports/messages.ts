import type { MessageId, SessionId } from '../../protocol/ids.ts';
import type { Message } from '../../protocol/schemas/session.ts';

/** The messages of each session, a pool that only grows. The session's record says which of them make up a branch. */
export interface MessageStore {
  /** A message is stored whole or not at all, and never changes. */
  append(session: SessionId, messages: readonly Message[]): Promise<void>;
  /** In the order asked for. @throws CwmError MessageNotFound when one does not exist. */
  load(session: SessionId, ids: readonly MessageId[]): Promise<Message[]>;
}
