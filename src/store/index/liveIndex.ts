import { SerialQueue } from '../../base/serialQueue.ts';
import { CwmError } from '../../protocol/errors.ts';
import type { SessionId, WindowName } from '../../protocol/ids.ts';
import { filesAtOnce, mapBounded } from '../../base/mapBounded.ts';
import { hasCode, tooLarge } from '../disk/files.ts';
import type { StoreDisk } from '../disk/storeDisk.ts';
import { openImage, sealImage } from './indexImage.ts';
import type { IndexSource } from './indexSource.ts';
import { SqlIndex } from './sqlIndex.ts';
import { loadSqlJs } from './sqlJs.ts';

/** A record that the index lists. `only`: the part of a session that a write changed; default: any. */
export type IndexedRecord =
  | { readonly session: SessionId; readonly only?: 'record' | 'messages' }
  | { readonly window: WindowName };

/** Hears which record may have changed, appeared or gone. */
export interface RecordListener {
  changed(record: IndexedRecord): void;
}

/** After this many changed rows, the background reads them instead of the next list. */
const refreshAfter = 256;
/** After this many changed rows, the image is saved again. */
const saveAfter = 2048;
const rowsAtOnce = 500;

/**
 * The index beside the files. A change of a file only names the row; the row is read again from the files before the next query, so
 * that index and files cannot differ for long and a write never waits for the index. The first query loads it: from the image, where
 * each row must have the stamp of its files as they are now, else from the files.
 */
export class LiveIndex implements RecordListener {
  readonly #parts: StoreDisk;
  readonly #source: IndexSource;
  readonly #wasmPath: string | null;
  readonly #queue = new SerialQueue();
  readonly #changedSessions = new Set<SessionId>();
  readonly #changedWindows = new Set<WindowName>();
  #index: SqlIndex | null = null;
  #unsavedRows = 0;
  #refreshing = false;

  constructor(parts: StoreDisk, source: IndexSource, wasmPath: string | null) {
    this.#parts = parts;
    this.#source = source;
    this.#wasmPath = wasmPath;
  }

  /** The record may have changed, appeared or gone. */
  changed(record: IndexedRecord): void {
    if ('session' in record) this.#changedSessions.add(record.session);
    else this.#changedWindows.add(record.window);
    this.#refreshSoon();
  }

  /** @throws CwmError ReadFailed when SQLite cannot be loaded; nothing but lists needs it. */
  query<T>(ask: (index: SqlIndex) => T): Promise<T> {
    return this.#queue.run(async () => ask(await this.#current()));
  }

  /** Discards the index and rebuilds it from the files. */
  rebuild(): Promise<void> {
    return this.#queue.run(async () => {
      this.#replace(null);
      const fresh = await this.#build();
      this.#replace(fresh);
      await this.#save(fresh);
    });
  }

  /** Another index, made from the files alone, to compare with. The caller closes it. */
  fresh(): Promise<SqlIndex> {
    return this.#queue.run(() => this.#build());
  }

  /** Saves the image. Never throws: without it the next start takes longer. */
  close(): Promise<void> {
    return this.#queue.run(async () => {
      const index = this.#index;
      if (!index) return;
      try {
        await this.#refresh(index);
        if (this.#unsavedRows > 0) await this.#save(index);
      } catch {
        this.#parts.quarantine.note(this.#parts.layout.indexImage, 'The index could not be saved; it will be rebuilt.');
      } finally {
        this.#replace(null);
      }
    });
  }

  async #current(): Promise<SqlIndex> {
    const index = this.#index ?? (await this.#load());
    try {
      await this.#refresh(index);
      if (this.#unsavedRows >= saveAfter) await this.#save(index);
    } catch (error) {
      // A half refreshed index would be trusted for ever.
      this.#replace(null);
      throw error;
    }
    return index;
  }

  async #load(): Promise<SqlIndex> {
    const { writes, layout, quarantine } = this.#parts;
    const sql = await this.#sql();
    const stored = await writes.readIfThere(layout.indexImage).catch((error: unknown) => {
      // All of it is in the files, too.
      if (hasCode(error, tooLarge, 'EIO')) return new Uint8Array();
      throw error;
    });
    const image = stored && openImage(stored);
    const index = image && SqlIndex.fromImage(sql, image);
    if (stored && !index && !this.#parts.isReadOnly) {
      quarantine.note(
        layout.indexImage,
        'It was damaged, unreadable or of another version, and was rebuilt from the files.',
      );
    }
    const loaded = index ?? SqlIndex.empty(sql);
    await this.#catchUp(loaded);
    this.#replace(loaded);
    return loaded;
  }

  async #build(): Promise<SqlIndex> {
    const index = SqlIndex.empty(await this.#sql());
    await this.#catchUp(index);
    return index;
  }

  async #sql(): Promise<Awaited<ReturnType<typeof loadSqlJs>>> {
    try {
      return await loadSqlJs(this.#wasmPath);
    } catch (error) {
      throw new CwmError('ReadFailed', 'The index could not be loaded, so nothing can be listed.', {
        hint: 'Install again: sql-wasm.wasm is missing or damaged. Sessions and windows can still be opened by name.',
        cause: error,
      });
    }
  }

  /** Makes the rows those of the files that are there now, reading only what changed since the rows were made. */
  async #catchUp(index: SqlIndex): Promise<void> {
    const sessions = await this.#source.sessionIds();
    const windows = await this.#source.windowNames();
    const sessionStamps = index.sessionStamps();
    const windowStamps = index.windowStamps();
    const staleSessions = await staleOnes(sessions, sessionStamps, (id) => this.#source.sessionStamp(id));
    const staleWindows = await staleOnes(windows, windowStamps, (name) => this.#source.windowStamp(name));
    await this.#readRows(index, staleSessions, staleWindows);
  }

  async #refresh(index: SqlIndex): Promise<void> {
    while (this.#changedSessions.size + this.#changedWindows.size > 0) {
      const sessions = [...this.#changedSessions];
      const windows = [...this.#changedWindows];
      this.#changedSessions.clear();
      this.#changedWindows.clear();
      await this.#readRows(index, sessions, windows);
    }
  }

  async #readRows(index: SqlIndex, sessions: readonly SessionId[], windows: readonly WindowName[]): Promise<void> {
    for (const some of chunks(sessions, rowsAtOnce)) {
      const rows = await mapBounded(some, filesAtOnce, (id) => this.#source.session(id));
      index.batch(() => {
        rows.forEach((row, at) => (row ? index.putSession(row) : index.removeSession(some[at]!)));
      });
    }
    for (const some of chunks(windows, rowsAtOnce)) {
      const rows = await mapBounded(some, filesAtOnce, (name) => this.#source.window(name));
      index.batch(() => {
        rows.forEach((row, at) => (row ? index.putWindow(row) : index.removeWindow(some[at]!)));
      });
    }
    this.#unsavedRows += sessions.length + windows.length;
  }

  async #save(index: SqlIndex): Promise<void> {
    if (this.#parts.isReadOnly) return;
    // Rows that were read right after a change have no stamp. By now most files have not changed for a while: read them once more, or
    // the next start would have to.
    const { sessions, windows } = index.unstamped();
    await this.#readRows(index, sessions, windows);
    await this.#parts.writes.replaceFile(this.#parts.layout.indexImage, sealImage(index.image()));
    this.#unsavedRows = 0;
  }

  #replace(index: SqlIndex | null): void {
    this.#index?.close();
    this.#index = index;
  }

  #refreshSoon(): void {
    if (this.#refreshing || !this.#index) return;
    if (this.#changedSessions.size + this.#changedWindows.size < refreshAfter) return;
    this.#refreshing = true;
    void this.query(() => undefined)
      // The next list meets the same error and reports it.
      .catch(() => undefined)
      .finally(() => {
        this.#refreshing = false;
      });
  }
}

async function staleOnes<Id extends string>(
  present: readonly Id[],
  stamps: Map<string, string>,
  stampOf: (id: Id) => Promise<string>,
): Promise<Id[]> {
  const now = await mapBounded(present, filesAtOnce, stampOf);
  const stale = present.filter((id, at) => now[at] === '' || stamps.get(id) !== now[at]);
  const known = new Set<string>(present);
  const gone = [...stamps.keys()].filter((id) => !known.has(id)) as Id[];
  return [...stale, ...gone];
}

function chunks<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, at) => items.slice(at * size, (at + 1) * size));
}
