import type { MessageId, ProjectUri, SessionId } from '../../protocol/ids.ts';
import type { MessageRole } from '../../protocol/schemas/session.ts';
import type { Page } from './page.ts';

/** A part of a message's text. */
export interface Excerpt {
  /** On one line. */
  readonly text: string;
  /** Begin and end in `text` of each word that was searched for, in UTF-16 units. */
  readonly matches: readonly (readonly [number, number])[];
}

/** A message that holds the words. */
export interface FoundMessage {
  readonly message: MessageId;
  /** Sessions that have it: those that were thawed or cloned from one another share messages. */
  readonly sessions: readonly SessionId[];
  readonly role: MessageRole;
  /** ISO 8601. */
  readonly createdAt: string;
  readonly excerpt: Excerpt;
}

export interface MessageQuery {
  /** Words that must all occur; in quotes: one after another. The last one may be the beginning of a word. */
  readonly text: string;
  /** Only in sessions of this project. Default: in all. */
  readonly project?: ProjectUri;
  /** Only in this session. Default: in all. */
  readonly session?: SessionId;
  readonly limit: number;
  readonly offset: number;
}

/** Full-text search over every message of every branch of all sessions that are not in the trash. */
export interface MessageSearch {
  /** Best first: BM25, of equal ones the latest. */
  messages(query: MessageQuery): Promise<Page<FoundMessage>>;
}
