import type { TokenList } from '../../base/tokenIds.ts';
import type { MessageId, ProjectUri, SessionId } from '../../protocol/ids.ts';
import type { Lifecycle, Message, Session } from '../../protocol/schemas/session.ts';
import type { Page } from './page.ts';

export interface SessionQuery {
  /** Null: sessions of no project. */
  readonly project?: ProjectUri | null;
  readonly lifecycle?: Lifecycle;
  /** ISO 8601: only sessions that expire at this instant or earlier. */
  readonly dueBy?: string;
  readonly model?: string;
  /** In title and id; `%` and `_` match literally. */
  readonly search?: string;
  /** 1 to 100. */
  readonly limit: number;
  readonly offset: number;
}

/** The content of a session that continues another one. */
export interface SessionContent {
  /**
   * The session that has the messages. The new session shares them, without writing their text again where the file system allows that.
   */
  readonly from: SessionId;
  readonly messageIds: readonly MessageId[];
  /** Of `messageIds`, those that are lost in `from`, with the texts in their place. Default: none is lost. */
  readonly standIns?: readonly Message[];
  /** The ids that `tokens` of the new session names; null when it names none. */
  readonly tokenIds: readonly number[] | null;
  /**
   * ISO 8601: the copy takes over the account of its memory up to then, so that it continues from exactly the same pages. Default: the segments and the
   * pins alone.
   */
  readonly memoryUntil?: string;
}

export interface SessionStore {
  /**
   * With its content, or not at all.
   *
   * @param content default: none.
   * @throws CwmError SessionExists when the id is taken, SessionNotFound and MessageNotFound when the session or a message of the
   *   content does not exist.
   */
  create(session: Session, content?: SessionContent): Promise<void>;
  get(id: SessionId): Promise<Session | null>;
  /** Replaces the session whose version is one less. @throws CwmError VersionConflict when that is not the stored one, SessionNotFound when there is none. */
  update(next: Session): Promise<void>;
  /** Latest change first; equal stamps by id. */
  list(query: SessionQuery): Promise<Page<Session>>;
  /** How many sessions each project has, in no order; null are those of no project. Projects without one are absent. */
  projects(): Promise<readonly { readonly project: ProjectUri | null; readonly sessions: number }[]>;
  /** Every session, whether or not it can be read: lists the directory only. */
  ids(): Promise<readonly SessionId[]>;
  /** Moves it to the trash with its messages. */
  delete(id: SessionId): Promise<void>;
  /**
   * Stores token ids beside the session under their SHA-256; the store may remove them once neither the session nor a recovery point
   * names them. @param parts of the list, one behind the other. @returns the SHA-256.
   */
  saveTokens(id: SessionId, ...parts: readonly (readonly number[])[]): Promise<string>;
  /** @throws CwmError Corrupted when their SHA-256 is another one. */
  loadTokens(id: SessionId, sha256: string): Promise<readonly number[]>;
  /** The same without a copy of them, for a comparison. @throws CwmError as {@link loadTokens}. */
  tokenList(id: SessionId, sha256: string): Promise<TokenList>;
  /** SHA-256s of all lists that are stored beside the session, also of earlier prompts; those that another one begins with are left out. */
  storedTokens(id: SessionId): Promise<readonly string[]>;
}
