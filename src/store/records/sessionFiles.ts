import { sha256Hex } from '../../base/hash.ts';
import { KeyedQueue } from '../../base/serialQueue.ts';
import { encodeTokenIds, type TokenList } from '../../base/tokenIds.ts';
import type { SessionContent } from '../../core/ports/sessions.ts';
import { memoryRecordSchema, type MemoryRecord } from '../../protocol/memory/records.ts';
import { CwmError, nullOn } from '../../protocol/errors.ts';
import type { MessageId, SessionId } from '../../protocol/ids.ts';
import { sessionSchema, type Message, type Session } from '../../protocol/schemas/session.ts';
import type { FreezeIntents } from './freezeIntents.ts';
import { sessionPaths, type SessionPaths } from '../disk/layout.ts';
import { MessagePool } from './messagePool.ts';
import { encodeLines } from '../disk/lines.ts';
import { encodeRecord } from '../disk/record.ts';
import { hasDirectory, type StoreDisk } from '../disk/storeDisk.ts';
import { namedTokens } from './namedTokens.ts';
import { TokenLog } from './tokenLog.ts';
import type { Trash } from './trash.ts';

const sha256Pattern = /^[0-9a-f]{64}$/;

/** Sessions as directories: record, message pool and token ids. */
export class SessionFiles {
  readonly #parts: StoreDisk;
  readonly #intents: FreezeIntents;
  readonly #trash: Trash;
  readonly #queue = new KeyedQueue<SessionId>();
  readonly #tokens: TokenLog;
  readonly pool: MessagePool;

  constructor(parts: StoreDisk, intents: FreezeIntents, trash: Trash) {
    this.#parts = parts;
    this.#intents = intents;
    this.#trash = trash;
    this.pool = new MessagePool(parts);
    this.#tokens = new TokenLog(parts);
  }

  /** Runs when nothing else changes this session. */
  exclusively<T>(id: SessionId, task: () => Promise<T>): Promise<T> {
    return this.#queue.run(id, task);
  }

  create(session: Session, content: SessionContent | null): Promise<void> {
    const id = session.id;
    const { files, writes, layout } = this.#parts;
    const target = layout.session(id).directory;
    return this.exclusively(id, async () => {
      const taken = new CwmError('SessionExists', `A session with the id "${id}" exists already.`);
      if ((await files.stat(target)) !== null) throw taken;
      await writes.addDirectory(target, async (directory) => {
        const paths = sessionPaths(directory);
        await files.makeDirectory(paths.messages);
        if (content) await this.#takeOver(session, content, paths);
        else await files.create(paths.messageIndex, new Uint8Array());
        await files.create(paths.metadata, encodeRecord(session));
      });
    });
  }

  /**
   * @param isFresh reads its record, even where its file looks like the one that was read last.
   * @throws CwmError Corrupted when the session is there without a record that can be read.
   */
  async get(id: SessionId, isFresh = false): Promise<Session | null> {
    const { records, files } = this.#parts;
    const paths = this.#parts.layout.session(id);
    // Also of one that is in memory: its directory may have been moved, and a link be in its place.
    if (!(await hasDirectory(files, paths.directory))) return null;
    // A turn asks for it ten times.
    const kept = isFresh ? null : await records.kept(paths.metadata, sessionSchema);
    const session = kept ?? (await records.read(paths.metadata, sessionSchema, true));
    if (session?.id === id) return session;
    if (session === null) {
      if (!(await hasDirectory(files, paths.directory))) return null;
      throw new CwmError('Corrupted', `The record of session "${id}" is missing or was set aside.`);
    }
    // A file system that ignores case finds one session under both names.
    if (session.id.toLowerCase() === id.toLowerCase()) return null;
    throw new CwmError('Corrupted', `The record of session "${id}" is that of session "${session.id}".`);
  }

  update(next: Session): Promise<void> {
    return this.exclusively(next.id, () => this.updateNow(next));
  }

  /** For a caller that runs {@link exclusively} already. */
  async updateNow(next: Session): Promise<void> {
    const id = next.id;
    const paths = this.#parts.layout.session(id);
    const current = await this.#require(id);
    if (next.version !== current.version + 1) {
      throw new CwmError('VersionConflict', `Session "${id}" was changed by another client.`, {
        context: { storedVersion: current.version, givenVersion: next.version },
      });
    }
    await this.#parts.records.rewrite(paths.metadata, next);
    await this.#intents.sessionMovedOn(id);
  }

  /** Gives a session that has lost its record another one. @throws CwmError SessionExists when it has one after all. */
  putRecord(session: Session): Promise<void> {
    const id = session.id;
    const paths = this.#parts.layout.session(id);
    return this.exclusively(id, async () => {
      await this.#requireDirectories(id, paths);
      if ((await this.#parts.files.stat(paths.metadata)) !== null) {
        throw new CwmError('SessionExists', `Session "${id}" has a record.`);
      }
      await this.#parts.records.write(paths.metadata, session);
    });
  }

  delete(id: SessionId): Promise<void> {
    const paths = this.#parts.layout.session(id);
    return this.exclusively(id, async () => {
      if (!(await hasDirectory(this.#parts.files, paths.directory))) throw notFound(id);
      await this.#trash.discard(paths.directory, `session-${id}`);
      this.pool.forget(paths);
      this.#tokens.forget(paths.tokenLog);
      this.#parts.lines.forget(paths.memory);
      await this.#intents.sessionMovedOn(id);
    });
  }

  /**
   * Restores a session from the trash. @param from where its directory is now. @throws CwmError SessionExists when the id is taken by
   * now.
   */
  restore(id: SessionId, from: string): Promise<void> {
    const { files, writes, layout } = this.#parts;
    const target = layout.session(id).directory;
    return this.exclusively(id, async () => {
      if ((await files.stat(target)) !== null) {
        throw new CwmError('SessionExists', `A session with the id "${id}" exists already.`);
      }
      await writes.move(from, target);
    });
  }

  appendMessages(id: SessionId, messages: readonly Message[]): Promise<void> {
    const paths = this.#parts.layout.session(id);
    return this.exclusively(id, async () => {
      await this.#requireDirectories(id, paths);
      await this.pool.append(paths, messages);
    });
  }

  async loadMessages(id: SessionId, messageIds: readonly MessageId[]): Promise<Message[]> {
    const paths = this.#parts.layout.session(id);
    await this.#requireDirectories(id, paths);
    return this.pool.load(paths, messageIds);
  }

  async loadMessagesOrStandIns(id: SessionId, messageIds: readonly MessageId[], firstSequence = 1): Promise<Message[]> {
    const paths = this.#parts.layout.session(id);
    await this.#requireDirectories(id, paths);
    const read = await this.pool.loadOrStandIns(paths, messageIds, firstSequence);
    // It may have been deleted while it was read.
    await this.#requireDirectories(id, paths);
    return read;
  }

  /** Ids of the messages that lead to this one, oldest first. */
  async chainOfMessages(id: SessionId, head: MessageId | null): Promise<MessageId[]> {
    const paths = this.#parts.layout.session(id);
    await this.#requireDirectories(id, paths);
    return this.pool.chain(paths, head);
  }

  saveTokens(id: SessionId, ...parts: readonly (readonly number[])[]): Promise<string> {
    const paths = this.#parts.layout.session(id);
    return this.exclusively(id, async () => {
      const session = await nullOn(this.get(id), 'Corrupted');
      if (!session) await this.#requireDirectories(id, paths);
      const before = session?.tokens?.sha256 ?? null;
      return this.#tokens.save(paths.tokenLog, parts, before, () => namedTokens(this.#parts, paths));
    });
  }

  async loadTokens(id: SessionId, sha256: string): Promise<readonly number[]> {
    return (await this.tokenList(id, sha256)).toArray();
  }

  tokenList(id: SessionId, sha256: string): Promise<TokenList> {
    return this.exclusively(id, () => this.loadTokensNow(id, sha256));
  }

  storedTokens(id: SessionId): Promise<readonly string[]> {
    const paths = this.#parts.layout.session(id);
    return this.exclusively(id, async () => {
      await this.#requireDirectories(id, paths);
      return this.#tokens.lists(paths.tokenLog);
    });
  }

  /** For a caller that runs {@link exclusively} already. @param isFresh reads the file, whatever is in memory. */
  async loadTokensNow(id: SessionId, sha256: string, isFresh = false): Promise<TokenList> {
    if (!sha256Pattern.test(sha256)) {
      throw new CwmError('InvalidParameter', 'A SHA-256 is 64 lower-case hexadecimal digits.');
    }
    const paths = this.#parts.layout.session(id);
    const known = isFresh ? null : await this.#tokens.known(paths.tokenLog, sha256);
    if (known) return known;
    await this.#requireDirectories(id, paths);
    const ids = await this.#tokens.load(paths.tokenLog, sha256);
    if (ids !== null) return ids;
    throw new CwmError('Corrupted', `The token ids ${sha256} of session "${id}" are missing or damaged.`);
  }

  /** What is wrong with the pool, in plain words: damaged files, and missing messages of a branch. */
  async verifyMessages(id: SessionId, heads: readonly MessageId[]): Promise<string[]> {
    const paths = this.#parts.layout.session(id);
    await this.#requireDirectories(id, paths);
    const problems = await this.pool.verify(paths, heads);
    return problems.map((problem) => `Session "${id}": ${problem}`);
  }

  async storedMessages(id: SessionId): Promise<MessageId[]> {
    return this.pool.storedIds(this.#parts.layout.session(id));
  }

  async #takeOver(session: Session, content: SessionContent, to: SessionPaths): Promise<void> {
    const from = this.#parts.layout.session(content.from);
    const bytes = content.tokenIds && encodeTokenIds(content.tokenIds);
    const sha256 = bytes && sha256Hex(bytes);
    if (sha256 !== (session.tokens?.sha256 ?? null)) {
      throw new CwmError('Internal', `The token ids of session "${session.id}" are not those its record names.`);
    }
    await this.#requireDirectories(content.from, from);
    // So that the source is not moved to the trash during the copy. No deadlock: nobody else can wait for a session that is just being
    // created.
    await this.exclusively(content.from, async () => {
      await this.#requireDirectories(content.from, from);
      await this.pool.copyTo(from, to, content);
      const { values } = await this.#parts.lines.load(from.memory, memoryRecordSchema);
      const memory = memoryOf(values, content);
      if (memory.length > 0) await this.#parts.files.create(to.memory, encodeLines(memory));
    });
    if (content.tokenIds && sha256) {
      await this.#parts.files.create(to.tokenLog, TokenLog.encode(content.tokenIds, sha256));
    }
  }

  async #require(id: SessionId): Promise<Session> {
    const session = await this.get(id);
    if (session === null) throw notFound(id);
    return session;
  }

  async #requireDirectories(id: SessionId, paths: SessionPaths): Promise<void> {
    if (!(await hasDirectory(this.#parts.files, paths.directory))) throw notFound(id);
    await hasDirectory(this.#parts.files, paths.messages);
  }
}

/**
 * What a copy with these messages has of a memory: its prompt may begin with the same segments, and the same pages stay whole. A message names
 * the one before it, so that a segment whose last message is there has no text of others.
 */
function memoryOf(
  records: readonly MemoryRecord[],
  { messageIds, memoryUntil }: Pick<SessionContent, 'messageIds' | 'memoryUntil'>,
): MemoryRecord[] {
  const ids = new Set(messageIds);
  return records.filter((record) => {
    // Also a segment of another branch: its text summarises messages that the copy has.
    if (record.type === 'segment') return ids.has(record.to);
    if (memoryUntil === undefined) return record.type === 'mutation' && record.what !== 'fault_in';
    if (record.at > memoryUntil) return false;
    switch (record.type) {
      case 'turn':
        return ids.has(record.answer);
      case 'mutation':
      case 'search':
        return record.sequence <= messageIds.length;
      case 'note':
        return false;
    }
  });
}

const notFound = (id: SessionId): CwmError => new CwmError('SessionNotFound', `There is no session "${id}".`);
