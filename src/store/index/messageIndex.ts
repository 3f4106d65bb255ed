import type { Database, SqlJsStatic, SqlValue } from 'sql.js';
import type {
  MessageQuery,
  MessageVectors,
  NearMessage,
  NearQuery,
  OccurrenceQuery,
  Occurrences,
  UnembeddedMessage,
  VectorCounts,
  VectorModel,
} from '../../core/ports/search.ts';
import type { MessageId, ProjectUri, SessionId } from '../../protocol/ids.ts';
import type { Message, MessageRole } from '../../protocol/schemas/session.ts';
import { bm25 } from './bm25.ts';
import { occurrencesIn } from './occurrences.ts';
import { inTransaction } from './sqlJs.ts';
import { indexedText, searchExpression } from './searchWords.ts';
import { keepVectorsIn, nearIn, unembeddedIn, vectorCountsIn, vectorsSchema } from './vectors.ts';

/** Increases with every change of {@link schema} or of how a text is cut into words. */
const version = 5;

/** What is deleted must not stay readable in the image. */
const overwriteDeleted = 'PRAGMA secure_delete = ON';

/** `holders` says which sessions have a message; the index has the text of each message once. */
const schema = `
  CREATE TABLE sessions (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    project TEXT,
    stamp TEXT NOT NULL
  );
  CREATE TABLE messages (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    role TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    speaker TEXT,
    created_at TEXT NOT NULL,
    text TEXT NOT NULL
  );
  CREATE TABLE holders (
    session INTEGER NOT NULL,
    message INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    PRIMARY KEY (session, message)
  ) WITHOUT ROWID;
  CREATE INDEX holders_by_message ON holders (message);
  CREATE INDEX holders_by_sequence ON holders (session, sequence);
  ${vectorsSchema}
  CREATE VIRTUAL TABLE words USING fts4(text, tokenize=unicode61, order=desc);
  PRAGMA user_version = ${version};
`;

/** Of the matching messages, the latest this many are ranked: a word that is everywhere says little. */
const rankedAtMost = 300;

export interface MatchingMessage {
  readonly id: MessageId;
  readonly role: MessageRole;
  readonly createdAt: string;
  readonly text: string;
  readonly sessions: readonly SessionId[];
}

export interface HoldingSession {
  readonly id: SessionId;
  readonly project: ProjectUri | null;
  /** The stamp that its messages had when they were read. */
  readonly stamp: string;
}

/** The words of all messages in a database in memory. */
export class MessageIndex {
  readonly #database: Database;
  #hasDeleted = false;

  private constructor(database: Database) {
    this.#database = database;
  }

  static empty(sql: SqlJsStatic): MessageIndex {
    const database = new sql.Database();
    database.exec(`${overwriteDeleted}; ${schema}`);
    return new MessageIndex(database);
  }

  /** @returns null when it is no database, is damaged or has another version. */
  static fromImage(sql: SqlJsStatic, image: Uint8Array): MessageIndex | null {
    let database: Database | null = null;
    try {
      database = new sql.Database(image);
      if (database.exec('PRAGMA user_version')[0]?.values[0]?.[0] === version) {
        database.exec(overwriteDeleted);
        return new MessageIndex(database);
      }
    } catch {
      // SQLite's message is not needed, because the image is rebuilt.
    }
    database?.close();
    return null;
  }

  image(): Uint8Array {
    // Until its parts are merged, the index only marks the words of deleted messages as deleted.
    if (this.#hasDeleted) this.#database.exec("INSERT INTO words (words) VALUES ('optimize')");
    this.#hasDeleted = false;
    return this.#database.export();
  }

  close(): void {
    this.#database.close();
  }

  /** The stamp of each session's messages when they were read. */
  stamps(): Map<SessionId, string> {
    return new Map(
      this.#rows('SELECT id, stamp FROM sessions').map(([id, stamp]) => [String(id) as SessionId, String(stamp)]),
    );
  }

  /** Whether the index has this message, whichever session it came from. */
  knows(id: MessageId): boolean {
    return this.#rows('SELECT 1 FROM messages WHERE id = ?', [id]).length > 0;
  }

  /** Makes `ids` the messages of the session. Those of `added` are new; the index knows the others. */
  put({ id, project, stamp }: HoldingSession, ids: readonly MessageId[], added: readonly Message[]): void {
    inTransaction(this.#database, () => {
      for (const message of added) this.#add(message);
      this.#database.run(
        `INSERT INTO sessions (id, project, stamp) VALUES (?, ?, ?)
         ON CONFLICT (id) DO UPDATE SET project = excluded.project, stamp = excluded.stamp`,
        [id, project, stamp],
      );
      this.#hold(Number(this.#rows('SELECT number FROM sessions WHERE id = ?', [id])[0]?.[0]), ids);
    });
  }

  /** Adds messages to a session. @returns false when the index does not know the session, and then does nothing. */
  add(session: SessionId, messages: readonly Message[]): boolean {
    const number = this.#rows('SELECT number FROM sessions WHERE id = ?', [session])[0]?.[0];
    if (number === undefined) return false;
    inTransaction(this.#database, () => {
      for (const message of messages) this.#add(message);
      this.#hold(
        Number(number),
        messages.map(({ id }) => id),
      );
      this.#database.run("UPDATE sessions SET stamp = '' WHERE number = ?", [number]);
    });
    return true;
  }

  /** @returns whether that changed anything. */
  setProject(session: SessionId, project: ProjectUri | null): boolean {
    this.#database.run('UPDATE sessions SET project = ?2 WHERE id = ?1 AND project IS NOT ?2', [session, project]);
    return this.#database.getRowsModified() > 0;
  }

  /** The session is gone, and so are the messages that no other session has. */
  remove(session: SessionId): void {
    inTransaction(this.#database, () => this.#forgetHolder(session));
  }

  /** Best first. @returns all matches up to a limit, before paging. */
  find({ text, project, session }: Pick<MessageQuery, 'text' | 'project' | 'session'>): readonly number[] {
    const expression = searchExpression(text);
    if (expression === null) return [];
    const isNarrow = project !== undefined || session !== undefined;
    const within = `AND EXISTS (
      SELECT 1 FROM holders JOIN sessions ON sessions.number = session
      WHERE message = docid AND (?2 IS NULL OR project = ?2) AND (?3 IS NULL OR sessions.id = ?3)
    )`;
    return this.#rows(
      `SELECT docid, created_at, matchinfo(words, 'pcnalx') FROM words JOIN messages ON messages.number = docid
       WHERE words MATCH ?1 ${isNarrow ? within : ''} LIMIT ${rankedAtMost}`,
      isNarrow ? [expression, project ?? null, session ?? null] : [expression],
    )
      .map(([number, createdAt, info]) => ({
        number: Number(number),
        createdAt: String(createdAt),
        score: bm25(info as Uint8Array),
      }))
      .sort((a, b) => b.score - a.score || (a.createdAt < b.createdAt ? 1 : -1))
      .map(({ number }) => number);
  }

  /** Where the words occur, and what is said around them. */
  occurrences(query: OccurrenceQuery): Occurrences {
    return occurrencesIn(this.#database, query);
  }

  unembedded(session: SessionId, model: VectorModel, limit: number): UnembeddedMessage[] {
    return unembeddedIn(this.#database, session, model, limit);
  }

  keepVectors(model: VectorModel, vectors: readonly MessageVectors[]): void {
    keepVectorsIn(this.#database, model, vectors);
  }

  vectorCounts(session: SessionId, model: VectorModel): VectorCounts {
    return vectorCountsIn(this.#database, session, model);
  }

  near(query: NearQuery): NearMessage[] {
    return nearIn(this.#database, query);
  }

  /** One that {@link find} returned. */
  message(number: number): MatchingMessage {
    const [id, role, createdAt, text] = this.#rows('SELECT id, role, created_at, text FROM messages WHERE number = ?', [
      number,
    ])[0]!.map(String);
    return {
      id: id as MessageId,
      role: role as MessageRole,
      createdAt: createdAt!,
      text: text!,
      sessions: this.#holdersOf(number),
    };
  }

  #hold(session: number, messages: readonly MessageId[]): void {
    for (const message of messages) {
      this.#database.run('INSERT OR IGNORE INTO holders SELECT ?, number, sequence FROM messages WHERE id = ?', [
        session,
        message,
      ]);
    }
  }

  #holdersOf(message: number): SessionId[] {
    return this.#rows('SELECT id FROM holders JOIN sessions ON number = session WHERE message = ?', [message]).map(
      ([id]) => String(id) as SessionId,
    );
  }

  #add(message: Message): void {
    const text = textOf(message);
    const { id, role, sequence, createdAt } = message;
    this.#database.run(
      'INSERT OR IGNORE INTO messages (id, role, sequence, speaker, created_at, text) VALUES (?, ?, ?, ?, ?, ?)',
      [id, role, sequence, speakerOf(text), createdAt, text],
    );
    if (this.#database.getRowsModified() === 0) return;
    this.#database.run('INSERT INTO words (docid, text) VALUES (last_insert_rowid(), ?)', [indexedText(text)]);
  }

  #forgetHolder(session: SessionId): void {
    const number = this.#rows('SELECT number FROM sessions WHERE id = ?', [session])[0]?.[0];
    if (number === undefined) return;
    const held = this.#rows('SELECT message FROM holders WHERE session = ?', [number]);
    this.#database.run('DELETE FROM holders WHERE session = ?', [number]);
    this.#database.run('DELETE FROM sessions WHERE number = ?', [number]);
    for (const [message] of held) {
      if (this.#rows('SELECT 1 FROM holders WHERE message = ? LIMIT 1', [message!]).length > 0) continue;
      this.#hasDeleted = true;
      this.#database.run('DELETE FROM words WHERE docid = ?', [message!]);
      this.#database.run('DELETE FROM vectors WHERE message = ?', [message!]);
      this.#database.run('DELETE FROM messages WHERE number = ?', [message!]);
    }
  }

  #rows(sql: string, values: SqlValue[] = []): SqlValue[][] {
    return this.#database.exec(sql, values)[0]?.values ?? [];
  }
}

/** What was said. Of files given as context, only their names: they can be found in the project. */
function textOf({ content }: Message): string {
  switch (content.type) {
    case 'context':
      return content.files.map(({ path }) => path).join('\n');
    case 'question':
      return [content.text, ...content.calls.map(({ question }) => question?.text ?? '')].join('\n').trim();
    case 'unknown':
      return typeof content.whole['text'] === 'string' ? content.whole['text'] : '';
    default:
      return content.text;
  }
}

/** The name in front of a line of a chat between several people, as in `Ann: Hello`. */
const speakerOf = (text: string): string | null =>
  /^(\p{Lu}[\p{L}\p{M}]{1,30}):\s/u.exec(text)?.[1]?.toLowerCase() ?? null;
