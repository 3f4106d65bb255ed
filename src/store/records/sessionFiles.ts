import { join } from 'node:path';
import { sha256Hex } from '../../base/hash.ts';
import { KeyedQueue } from '../../base/serialQueue.ts';
import { encodeTokenIds } from '../../base/tokenIds.ts';
import type { SessionContent } from '../../core/ports/sessions.ts';
import { CwmError } from '../../protocol/errors.ts';
import type { MessageId, SessionId } from '../../protocol/ids.ts';
import { sessionSchema, type Message, type Session } from '../../protocol/schemas/session.ts';
import { hasCode } from '../disk/files.ts';
import type { FreezeIntents } from './freezeIntents.ts';
import { sessionPaths, type SessionPaths } from '../disk/layout.ts';
import { MessagePool } from './messagePool.ts';
import { encodeRecord } from '../disk/record.ts';
import { hasDirectory, type StoreParts } from '../disk/storeParts.ts';
import { openTokens } from '../disk/tokenFile.ts';
import type { Trash } from './trash.ts';

/** Sessions as directories: record, message pool and token ids. */
export class SessionFiles {
  readonly #parts: StoreParts;
  readonly #intents: FreezeIntents;
  readonly #trash: Trash;
  readonly #queue = new KeyedQueue<SessionId>();
  /** Sessions whose unused token ids were removed since the store was opened. */
  readonly #tidied = new Set<SessionId>();
  readonly pool: MessagePool;

  constructor(parts: StoreParts, intents: FreezeIntents, trash: Trash) {
    this.#parts = parts;
    this.#intents = intents;
    this.#trash = trash;
    this.pool = new MessagePool(parts);
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

  /** @throws CwmError Corrupted when the session is there without a record that can be read. */
  async get(id: SessionId): Promise<Session | null> {
    const paths = this.#parts.layout.session(id);
    if (!(await hasDirectory(this.#parts.files, paths.directory))) return null;
    const session = await this.#parts.records.read(paths.metadata, sessionSchema);
    if (session?.id === id) return session;
    if (session === null) {
      if (!(await hasDirectory(this.#parts.files, paths.directory))) return null;
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
    await this.#parts.records.write(paths.metadata, next);
    await this.#intents.sessionMovedOn(id);
    await this.#dropTokens(paths, current.tokens?.sha256, next.tokens?.sha256);
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

  saveTokens(id: SessionId, ids: readonly number[]): Promise<string> {
    const bytes = encodeTokenIds(ids);
    const sha256 = sha256Hex(bytes);
    const paths = this.#parts.layout.session(id);
    return this.exclusively(id, async () => {
      await this.#requireDirectories(id, paths);
      await this.#dropLeftTokens(id, paths);
      const present = await this.#parts.writes.readIfThere(paths.tokens(sha256));
      // A damaged file under that name is healed by writing it again.
      if (present === null || sha256Hex(present) !== sha256) {
        await this.#parts.writes.replaceFile(paths.tokens(sha256), bytes);
      }
      return sha256;
    });
  }

  loadTokens(id: SessionId, sha256: string): Promise<number[]> {
    return this.exclusively(id, () => this.loadTokensNow(id, sha256));
  }

  /**
   * For a caller that runs {@link exclusively} already: the read may set a damaged file aside, and no other call must replace it at the
   * same time.
   */
  async loadTokensNow(id: SessionId, sha256: string): Promise<number[]> {
    const paths = this.#parts.layout.session(id);
    await this.#requireDirectories(id, paths);
    const bytes = await this.#parts.writes.readIfThere(paths.tokens(sha256));
    if (bytes === null) throw new CwmError('Corrupted', `Session "${id}" does not have the token ids ${sha256}.`);
    const ids = openTokens(bytes, sha256);
    if (ids !== null) return ids;
    await this.#parts.quarantine.setAside(paths.tokens(sha256), 'Its SHA-256 is not the one in its name.');
    throw new CwmError('Corrupted', `The token ids of session "${id}" are damaged.`);
  }

  /** What is wrong with the pool, in plain words: damaged files, and missing messages that a branch names. */
  async verifyMessages(id: SessionId, inBranches: readonly MessageId[]): Promise<string[]> {
    const paths = this.#parts.layout.session(id);
    await this.#requireDirectories(id, paths);
    const problems = await this.pool.verify(paths, inBranches);
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
      await this.pool.copyTo(from, to, content.messageIds);
    });
    if (bytes && sha256) await this.#parts.files.create(to.tokens(sha256), bytes);
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

  /**
   * Removes token ids that a crash left before the session's record named them. Only before the first save: later ones may be about to
   * be named.
   */
  async #dropLeftTokens(id: SessionId, paths: SessionPaths): Promise<void> {
    if (this.#tidied.has(id)) return;
    const session = await this.get(id);
    const kept = session?.tokens ? paths.tokens(session.tokens.sha256) : null;
    for (const name of await this.#parts.files.list(paths.directory)) {
      const path = join(paths.directory, name);
      if (name.startsWith('tokens-') && path !== kept) await this.#parts.files.remove(path);
    }
    this.#tidied.add(id);
  }

  async #dropTokens(paths: SessionPaths, before: string | undefined, now: string | undefined): Promise<void> {
    if (before === undefined || before === now) return;
    try {
      await this.#parts.files.remove(paths.tokens(before));
    } catch (error) {
      // The update is on the disk: a file that could not be removed costs only space.
      if (!hasCode(error, 'ENOENT')) this.#parts.quarantine.note(paths.tokens(before), 'It could not be removed.');
    }
  }
}

const notFound = (id: SessionId): CwmError => new CwmError('SessionNotFound', `There is no session "${id}".`);
