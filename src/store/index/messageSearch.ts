import { filesAtOnce, mapBounded } from '../../base/mapBounded.ts';
import { SerialQueue } from '../../base/serialQueue.ts';
import type {
  FoundMessage,
  MessageQuery,
  MessageSearch,
  MessageVectors,
  NearMessage,
  NearQuery,
  OccurrenceQuery,
  Occurrences,
  UnembeddedMessage,
  VectorCounts,
  VectorModel,
} from '../../core/ports/search.ts';
import type { Page } from '../../core/ports/page.ts';
import { CwmError, nullOn } from '../../protocol/errors.ts';
import type { MessageId, ProjectUri, SessionId } from '../../protocol/ids.ts';
import type { Message } from '../../protocol/schemas/session.ts';
import { openImage, sealImage } from './indexImage.ts';
import type { StoreDisk } from '../disk/storeDisk.ts';
import { loadSqlJs } from './sqlJs.ts';
import { excerptOf } from './excerpt.ts';
import { MessageIndex } from './messageIndex.ts';
import { searchedWords } from './searchWords.ts';

/** Where the messages come from. */
export interface MessageSource {
  ids(): Promise<readonly SessionId[]>;
  /** Of a session's pool, in no order; none when the session is gone. */
  messageIds(session: SessionId): Promise<readonly MessageId[]>;
  /** @throws CwmError Corrupted, MessageNotFound. */
  load(session: SessionId, ids: readonly MessageId[]): Promise<readonly Message[]>;
  /** Null also when its record cannot be read. */
  projectOf(session: SessionId): Promise<ProjectUri | null>;
}

/** Messages of a session that wait in memory for the next search; above it the session is read again. */
const addedAtMost = 1_000;
/** Messages whose vectors a backend that dies may lose. */
const saveAfter = 500;

/**
 * The index of what was said. The first search loads its image and reads what was said since; each later one reads the sessions that were
 * changed. The image is saved when the store closes, and after many vectors. It is cache: without it the messages' files are read again.
 */
export class LiveMessageSearch implements MessageSearch {
  readonly #parts: StoreDisk;
  readonly #source: MessageSource;
  readonly #wasmPath: string | null;
  readonly #queue = new SerialQueue();
  readonly #changed = new Set<SessionId>();
  /** Sessions whose record alone may have changed. */
  readonly #changedRecords = new Set<SessionId>();
  /** Messages that came since the last search, which need not be read again; of sessions that are not in `#changed`. */
  readonly #added = new Map<SessionId, Message[]>();
  #index: MessageIndex | null = null;
  #isSaved = true;
  /** Messages whose vectors no image has. */
  #unsavedVectors = 0;
  /** The disk took no image: each further try would export the whole index again, and close tries once more. */
  #couldNotSave = false;

  constructor(parts: StoreDisk, source: MessageSource, wasmPath: string | null) {
    this.#parts = parts;
    this.#source = source;
    this.#wasmPath = wasmPath;
  }

  /** The session's messages may be others now. */
  changed({ session, only }: { readonly session: SessionId; readonly only?: 'record' | 'messages' }): void {
    if (only === 'record') this.#changedRecords.add(session);
    // Those that were appended are known already.
    else if (only === undefined || !this.#added.has(session)) this.#readAgain(session);
  }

  /** The session has these messages, too: so a search after a turn costs the same in a session of any length. */
  appended(session: SessionId, messages: readonly Message[]): void {
    if (!this.#index || this.#changed.has(session)) return;
    const added = [...(this.#added.get(session) ?? []), ...messages];
    if (added.length > addedAtMost) this.#readAgain(session);
    else this.#added.set(session, added);
  }

  #readAgain(session: SessionId): void {
    this.#added.delete(session);
    // Also while the index loads, which may have read the session already. Loading clears the set before it reads.
    this.#changed.add(session);
  }

  messages({ limit, offset, ...query }: MessageQuery): Promise<Page<FoundMessage>> {
    return this.#queue.run(async () => {
      const index = await this.#current();
      const found = index.find(query);
      const words = searchedWords(query.text);
      const items = found.slice(offset, offset + limit).map((number) => {
        const { id, text, ...message } = index.message(number);
        return { message: id, ...message, excerpt: excerptOf(text, words) };
      });
      return { items, total: found.length };
    });
  }

  occurrences(query: OccurrenceQuery): Promise<Occurrences> {
    return this.#queue.run(async () => (await this.#current()).occurrences(query));
  }

  unembedded(session: SessionId, model: VectorModel, limit: number): Promise<readonly UnembeddedMessage[]> {
    return this.#queue.run(async () => (await this.#current()).unembedded(session, model, limit));
  }

  keepVectors(model: VectorModel, vectors: readonly MessageVectors[]): Promise<void> {
    return this.#queue.run(async () => {
      const index = await this.#current();
      index.keepVectors(model, vectors);
      this.#isSaved = false;
      this.#unsavedVectors += vectors.length;
      // Words are read again from the files; vectors cost a model server its time.
      if (this.#unsavedVectors >= saveAfter && !this.#couldNotSave) await this.#save(index);
    });
  }

  vectorCounts(session: SessionId, model: VectorModel): Promise<VectorCounts> {
    return this.#queue.run(async () => (await this.#current()).vectorCounts(session, model));
  }

  near(query: NearQuery): Promise<readonly NearMessage[]> {
    return this.#queue.run(async () => (await this.#current()).near(query));
  }

  /** Saves the image. Never throws: without it the next first search takes longer. */
  close(): Promise<void> {
    return this.#queue.run(async () => {
      const index = this.#index;
      if (!index) return;
      try {
        // What was deleted since the last search must not be saved.
        await this.#current();
        await this.#save(index);
      } catch {
        this.#noteUnsaved();
      } finally {
        this.#index = null;
        index.close();
      }
    });
  }

  /** Deletes the image, which may have the words of what is now gone for good. The next close saves another. */
  forgetImage(): Promise<void> {
    return this.#queue.run(async () => {
      const { files, layout } = this.#parts;
      if ((await files.stat(layout.searchImage)) !== null) await files.remove(layout.searchImage);
      this.#isSaved = false;
    });
  }

  /** Never throws: without it the next first search takes longer. */
  async #save(index: MessageIndex): Promise<void> {
    const { writes, layout, isReadOnly } = this.#parts;
    this.#unsavedVectors = 0;
    if (this.#isSaved || isReadOnly) return;
    try {
      await writes.replaceFile(layout.searchImage, sealImage(index.image()));
      this.#isSaved = true;
      this.#couldNotSave = false;
    } catch {
      this.#noteUnsaved();
    }
  }

  #noteUnsaved(): void {
    if (this.#couldNotSave) return;
    this.#couldNotSave = true;
    this.#parts.quarantine.note(
      this.#parts.layout.searchImage,
      'The search index could not be saved; it will be rebuilt.',
    );
  }

  async #current(): Promise<MessageIndex> {
    const index = this.#index ?? (await this.#load());
    const added = [...this.#added];
    const records = [...this.#changedRecords];
    this.#added.clear();
    this.#changedRecords.clear();
    // So that a failure loses none of them: a session that changed is read whole.
    const failing = new Set(added.map(([session]) => session));
    try {
      for (const [session, messages] of added) {
        // A project is read with the record; the stamp is left out, so that the next start compares the files.
        if (index.add(session, messages)) this.#isSaved = false;
        else this.#changed.add(session);
        failing.delete(session);
      }
    } finally {
      for (const session of failing) this.#changed.add(session);
      if (failing.size > 0) for (const session of records) this.#changedRecords.add(session);
    }
    const changed = [...this.#changed];
    this.#changed.clear();
    try {
      for (const session of changed) await this.#readSession(index, session, await this.#stampOf(session));
      for (const session of records)
        if (index.setProject(session, await this.#source.projectOf(session))) this.#isSaved = false;
    } catch (error) {
      for (const session of changed) this.#changed.add(session);
      for (const session of records) this.#changedRecords.add(session);
      throw error;
    }
    return index;
  }

  async #load(): Promise<MessageIndex> {
    const sql = await this.#sql();
    const { writes, layout } = this.#parts;
    const stored = await writes.readIfThere(layout.searchImage);
    const image = stored && openImage(stored);
    const index = (image && MessageIndex.fromImage(sql, image)) ?? MessageIndex.empty(sql);
    this.#changed.clear();
    this.#changedRecords.clear();
    await this.#catchUp(index);
    this.#index = index;
    return index;
  }

  async #catchUp(index: MessageIndex): Promise<void> {
    const present = await this.#source.ids();
    const known = index.stamps();
    const stamps = await mapBounded(present, filesAtOnce, (session) => this.#stampOf(session));
    for (const [at, session] of present.entries()) {
      const stamp = stamps[at]!;
      if (stamp === '' || known.get(session) !== stamp) await this.#readSession(index, session, stamp);
      known.delete(session);
    }
    for (const gone of known.keys()) {
      index.remove(gone);
      this.#isSaved = false;
    }
  }

  /** Changes with each message that is added. Empty: the directory was changed just now, or is not there. */
  async #stampOf(session: SessionId): Promise<string> {
    const stat = await this.#parts.files.stat(this.#parts.layout.session(session).messages);
    return stat?.isSettled ? stat.fingerprint : '';
  }

  async #readSession(index: MessageIndex, session: SessionId, stamp: string): Promise<void> {
    const ids = await this.#source.messageIds(session);
    const unknown = ids.filter((id) => !index.knows(id));
    const loaded = await mapBounded(unknown, filesAtOnce, async (id) => {
      // A damaged message has been set aside and reported; it cannot be found.
      const [message] = (await nullOn(this.#source.load(session, [id]), 'Corrupted', 'MessageNotFound')) ?? [];
      return message;
    });
    const added = loaded.filter((message) => message !== undefined);
    added.sort((a, b) => (a.createdAt < b.createdAt ? -1 : 1));
    if (ids.length === 0) index.remove(session);
    else index.put({ id: session, project: await this.#source.projectOf(session), stamp }, ids, added);
    this.#isSaved = false;
  }

  async #sql(): Promise<Awaited<ReturnType<typeof loadSqlJs>>> {
    try {
      return await loadSqlJs(this.#wasmPath);
    } catch (error) {
      throw new CwmError('ReadFailed', 'The search index could not be loaded, so nothing can be searched.', {
        hint: 'Install again: sql-wasm.wasm is missing or damaged.',
        cause: error,
      });
    }
  }
}
