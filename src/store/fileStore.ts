import { SerialQueue } from '../base/serialQueue.ts';
import type {
  Lineage,
  OnChecked,
  Page,
  SessionContent,
  SessionQuery,
  StorageSizes,
  Store,
  TrashItem,
  WindowQuery,
} from '../core/ports/store.ts';
import type { StateStore } from '../core/ports/states.ts';
import type { VerifyStep } from '../protocol/schemas/health.ts';
import type { AuditFact, AuditPoint, AuditReport } from '../protocol/schemas/audit.ts';
import * as z from 'zod/mini';
import { CwmError, nullOn } from '../protocol/errors.ts';
import {
  parseSessionId,
  parseWindowName,
  type LineageId,
  type MessageId,
  type ProjectUri,
  type SessionId,
  type WindowName,
} from '../protocol/ids.ts';
import type { Receipt } from '../protocol/schemas/receipt.ts';
import type { Message, Session } from '../protocol/schemas/session.ts';
import type { BlockRecord, KvRecord, WindowManifest, WindowSummary } from '../protocol/schemas/window.ts';
import { AuditLog } from './audit/auditLog.ts';
import type { Encryption } from './encryption/openEncryption.ts';
import { FreezeIntents } from './records/freezeIntents.ts';
import { IndexSource } from './index/indexSource.ts';
import { LiveIndex } from './index/liveIndex.ts';
import { LineageFiles } from './records/lineageFiles.ts';
import { ProjectFiles } from './records/projectFiles.ts';
import type { MigrationDone } from './migrations/migrateStore.ts';
import type { PreparedStore } from './migrations/prepareStore.ts';
import type { StoreProblem } from './disk/quarantine.ts';
import { ClockWatch } from './disk/clockWatch.ts';
import { recover } from './check/recovery.ts';
import { repairStore } from './check/repairStore.ts';
import { SessionFiles } from './records/sessionFiles.ts';
import { SharedBlocks } from './index/sharedBlocks.ts';
import { measureStorage } from './space/storageSizes.ts';
import { isFull, roomLeft, storageError, type Access } from './disk/storageError.ts';
import { hasDirectory, type StoreParts } from './disk/storeParts.ts';
import { guardedStates } from './states/guardedStates.ts';
import { StateFiles } from './states/stateFiles.ts';
import { Trash } from './records/trash.ts';
import { nullIfUnreadable } from './disk/unreadable.ts';
import { verifyStore, type VerifiedStore } from './check/verifyStore.ts';
import { WindowFiles } from './records/windowFiles.ts';

const chosenEngineSchema = z.object({ engine: z.string() });

/** {@link Store} on plain files, with an index beside them (`docs/storage-format.md`). */
export class FileStore implements Store {
  readonly #parts: StoreParts;
  readonly #prepared: PreparedStore;
  /** Whether the store is encrypted on the disk. */
  readonly encryption: Encryption;
  readonly #intents: FreezeIntents;
  readonly #trash: Trash;
  readonly #clockWatch: ClockWatch;
  readonly #sessions: SessionFiles;
  readonly #windows: WindowFiles;
  readonly #lineages: LineageFiles;
  readonly #projects: ProjectFiles;
  readonly #states: StateFiles;
  readonly states: StateStore;
  readonly #source: IndexSource;
  readonly #index: LiveIndex;
  readonly #sharedBlocks: SharedBlocks;
  readonly #audit: AuditLog;
  readonly #verified: VerifiedStore;
  readonly #running = new Set<Promise<unknown>>();
  readonly #closing = new SerialQueue();
  #closed = false;

  constructor(prepared: PreparedStore, encryption: Encryption, sqlWasmPath: string | null) {
    const { parts } = prepared;
    this.#prepared = prepared;
    this.encryption = encryption;
    this.#parts = parts;
    this.#intents = new FreezeIntents(parts);
    this.#trash = new Trash(parts);
    this.#clockWatch = new ClockWatch(parts);
    this.#sessions = new SessionFiles(parts, this.#intents, this.#trash);
    this.#windows = new WindowFiles(parts, this.#sessions, this.#intents, this.#trash);
    this.#lineages = new LineageFiles(parts);
    this.#projects = new ProjectFiles(parts);
    this.#source = new IndexSource(parts, this.#sessions, this.#windows);
    this.#index = new LiveIndex(parts, this.#source, sqlWasmPath);
    this.#sharedBlocks = new SharedBlocks(this.#windows, this.#index, this.#source);
    this.#audit = new AuditLog(parts, this.#trash, this.#clockWatch);
    this.#states = new StateFiles(parts, this.#sessions);
    this.#verified = {
      parts,
      sessions: this.#sessions,
      windows: this.#windows,
      lineages: this.#lineages,
      states: this.#states,
      source: this.#source,
      index: this.#index,
      audit: this.#audit,
    };
    this.states = guardedStates(this.#states, this.#run.bind(this), (id) => this.#index.sessionChanged(id));
  }

  /** Problems that were found since the store was opened, oldest first. */
  get problems(): readonly StoreProblem[] {
    return this.#parts.quarantine.problems;
  }

  /** It can be read, and every change is refused with {@link readOnlyWhy}. */
  get isReadOnly(): boolean {
    return this.#parts.isReadOnly;
  }

  /** Null when it can be changed. */
  get readOnlyWhy(): CwmError | null {
    return this.#prepared.readOnlyWhy;
  }

  /** Format of the store. */
  get formatVersion(): number {
    return this.#prepared.formatVersion;
  }

  /** What was done to bring the store to this format when it was opened. */
  get migrated(): readonly MigrationDone[] {
    return this.#prepared.migrated;
  }

  /** Part of opening; again it does nothing. */
  async recover(): Promise<void> {
    const finished = await recover(
      this.#parts,
      this.#sessions,
      this.#windows,
      this.#intents,
      this.#trash,
      this.#clockWatch,
    );
    await this.#states.recover();
    await this.#audit.open();
    const own = { outcome: 'ok', client: 'backend' };
    await this.#audit.append([
      ...this.migrated.map(({ from, to }): AuditFact => ({
        event: 'STORE_MIGRATE',
        ...own,
        from: String(from),
        to: String(to),
      })),
      ...finished.map((freeze): AuditFact => ({ event: 'SESSION_STATE_CHANGE', ...own, ...freeze, to: 'frozen' })),
    ]);
  }

  /** Waits for running calls and saves the index. Refuses later calls. */
  close(): Promise<void> {
    this.#closed = true;
    return this.#closing.run(async () => {
      await Promise.allSettled(this.#running);
      await this.#audit.close();
      await this.#index.close();
    });
  }

  createSession(session: Session, content?: SessionContent): Promise<void> {
    return this.#changeSession(session.id, () => this.#sessions.create(session, content ?? null));
  }

  getSession(id: SessionId): Promise<Session | null> {
    return this.#run('read', () => this.#sessions.get(id));
  }

  updateSession(next: Session): Promise<void> {
    return this.#changeSession(next.id, () => this.#sessions.update(next));
  }

  listSessions(query: SessionQuery): Promise<Page<Session>> {
    return this.#run('read', async () => {
      // A record that turns out damaged or deleted leaves the index, and the page is read again.
      for (let attempt = 1; ; attempt++) {
        const { items, total } = await this.#index.query((index) => index.sessions(query));
        const sessions = await Promise.all(items.map((id) => this.#listed(id)));
        const found = sessions.filter((session) => session !== null);
        if (found.length === items.length || attempt === 3) return { items: found, total };
      }
    });
  }

  sessionIds(): Promise<readonly SessionId[]> {
    return this.#run('read', () => this.#source.sessionIds());
  }

  deleteSession(id: SessionId): Promise<void> {
    return this.#changeSession(id, () => this.#sessions.delete(id));
  }

  appendMessages(id: SessionId, messages: readonly Message[]): Promise<void> {
    return this.#run('write', () => this.#sessions.appendMessages(id, messages));
  }

  loadMessages(id: SessionId, messageIds: readonly MessageId[]): Promise<Message[]> {
    return this.#run('read', () => this.#sessions.loadMessages(id, messageIds));
  }

  saveTokens(id: SessionId, ids: readonly number[]): Promise<string> {
    return this.#run('write', () => this.#sessions.saveTokens(id, ids));
  }

  loadTokens(id: SessionId, sha256: string): Promise<number[]> {
    return this.#run('read', () => this.#sessions.loadTokens(id, sha256));
  }

  createWindow(manifest: WindowManifest, ids: readonly number[], kv: KvRecord): Promise<void> {
    return this.#changeWindow(manifest.name, () => this.#windows.create(manifest, ids, kv));
  }

  getWindow(name: WindowName): Promise<WindowManifest | null> {
    return this.#run('read', () => this.#windows.get(name));
  }

  loadWindowTokens(name: WindowName): Promise<number[]> {
    return this.#run('read', () => this.#windows.loadTokens(name));
  }

  loadWindowKv(name: WindowName): Promise<KvRecord> {
    return this.#run('read', () => this.#windows.loadKv(name));
  }

  replaceWindowKv(name: WindowName, kv: KvRecord): Promise<void> {
    return this.#changeWindow(name, () => this.#windows.replaceKv(name, kv));
  }

  blocksHeldByOthers(hashes: readonly string[], except: WindowName): Promise<ReadonlySet<string>> {
    return this.#run('read', () => this.#sharedBlocks.heldByOthers(hashes, except));
  }

  checksumsOfOthers(hashes: readonly string[], except: WindowName): Promise<ReadonlyMap<string, readonly string[]>> {
    return this.#run('read', () => this.#sharedBlocks.checksumsOfOthers(hashes, except));
  }

  recordsOfLineage(
    lineage: LineageId,
    hashes: readonly string[],
    mostWindows?: number,
  ): Promise<ReadonlyMap<string, readonly BlockRecord[]>> {
    return this.#run('read', () => this.#sharedBlocks.recordsOfLineage(lineage, hashes, mostWindows));
  }

  appendReceipt(name: WindowName, receipt: Receipt): Promise<void> {
    return this.#changeWindow(name, () => this.#windows.appendReceipt(name, receipt));
  }

  listReceipts(name: WindowName): Promise<Receipt[]> {
    return this.#run('read', () => this.#windows.listReceipts(name));
  }

  listWindows(query: WindowQuery): Promise<Page<WindowSummary>> {
    return this.#run('read', () => this.#index.query((index) => index.windows(query)));
  }

  allWindows(): Promise<readonly WindowSummary[]> {
    return this.#run('read', () => this.#index.query((index) => index.allWindows()));
  }

  windowNames(): Promise<readonly WindowName[]> {
    return this.#run('read', () => this.#source.windowNames());
  }

  setPinned(name: WindowName, isPinned: boolean): Promise<void> {
    return this.#changeWindow(name, () => this.#windows.setPinned(name, isPinned));
  }

  isPinned(name: WindowName): Promise<boolean> {
    return this.#run('read', () => this.#windows.isPinned(name));
  }

  deleteWindow(name: WindowName): Promise<void> {
    return this.#changeWindow(name, () => this.#windows.delete(name));
  }

  createLineage(lineage: Lineage): Promise<void> {
    return this.#run('write', () => this.#lineages.create(lineage));
  }

  getLineage(id: LineageId): Promise<Lineage> {
    return this.#run('read', () => this.#lineages.get(id));
  }

  advanceLineage(id: LineageId, fromGeneration: number): Promise<Lineage> {
    return this.#run('write', () => this.#lineages.advance(id, fromGeneration));
  }

  activeSession(project: ProjectUri): Promise<SessionId | null> {
    return this.#run('read', () => this.#projects.activeSession(project));
  }

  setActiveSession(project: ProjectUri, id: SessionId | null): Promise<void> {
    return this.#run('write', () => this.#projects.setActiveSession(project, id));
  }

  measure(signal: AbortSignal): Promise<StorageSizes> {
    return this.#run('read', () => measureStorage(this.#parts, signal));
  }

  freeBytes(): Promise<number | null> {
    return this.#run('read', () => this.#parts.files.freeBytes(this.#parts.layout.root));
  }

  listTrash(): Promise<readonly TrashItem[]> {
    return this.#run('read', () => this.#trash.items());
  }

  restore(trashId: string): Promise<TrashItem> {
    return this.#run('write', () => this.#trash.takeOut(trashId, (item, path) => this.#takeBack(item, path)));
  }

  emptyTrash(which: 'expired' | 'all'): Promise<readonly TrashItem[]> {
    return this.#run('write', () => this.#trash.empty(which));
  }

  verify(signal: AbortSignal, onChecked: OnChecked = () => undefined): Promise<VerifyStep[]> {
    return this.#run('read', () => verifyStore(this.#verified, onChecked, signal));
  }

  repair(engine: string, signal: AbortSignal, onChecked: OnChecked = () => undefined): Promise<string[]> {
    return this.#run('write', () => repairStore(this.#verified, engine, onChecked, signal));
  }

  /** Adds to the audit log. Never rejects; see {@link AuditLog.append}. */
  async recordAudit(facts: readonly AuditFact[]): Promise<void> {
    if (!this.#closed && !this.isReadOnly) await this.#run('write', () => this.#audit.append(facts));
  }

  /** Tells the audit log how the backend is set up, unless it says so already. */
  async recordSettings(settings: NonNullable<AuditFact['settings']>): Promise<void> {
    if (!this.isReadOnly) await this.#run('write', () => this.#audit.recordSettings(settings));
  }

  /** The engine of sessions that name none; null where nobody chose one, and where the record of it is damaged. */
  async chosenEngine(): Promise<string | null> {
    const { records, layout } = this.#parts;
    const record = await this.#run('read', () => nullOn(records.read(layout.engine, chosenEngineSchema), 'Corrupted'));
    return record?.engine ?? null;
  }

  /** Durable when it returns. @throws CwmError WriteFailed, StorageFull. */
  async chooseEngine(engine: string): Promise<void> {
    const { records, layout } = this.#parts;
    await this.#run('write', () => records.write(layout.engine, { engine }));
  }

  /** Checks the whole audit log. @param known an entry that was written down elsewhere. */
  verifyAudit(signal: AbortSignal, known: AuditPoint | null = null): Promise<AuditReport> {
    return this.#run('read', () => this.#audit.verify(signal, known));
  }

  /**
   * Loads the index before the first list asks for it: about a second at 10,000 windows. Only lists wait for it. Never throws: the
   * first list meets the same error and reports it.
   */
  async warmIndex(): Promise<void> {
    await this.#run('read', () => this.#index.query(() => undefined)).catch(() => undefined);
  }

  /** The row of a record that cannot be read is made again, which removes it. */
  async #listed(id: SessionId): Promise<Session | null> {
    const { quarantine, layout } = this.#parts;
    const session = await nullIfUnreadable(quarantine, layout.session(id).metadata, () => this.#sessions.get(id));
    if (!session) this.#index.sessionChanged(id);
    return session;
  }

  async #takeBack({ kind, name }: TrashItem, path: string): Promise<void> {
    if (kind === 'other') throw new CwmError('InvalidParameter', `${name} is neither a session nor a window.`);
    await hasDirectory(this.#parts.files, path);
    if (kind === 'window') {
      const window = parseWindowName(name);
      await this.#changeWindow(window, () => this.#windows.restore(window, path));
    } else {
      const session = parseSessionId(name);
      await this.#changeSession(session, () => this.#sessions.restore(session, path));
    }
  }

  #changeSession(id: SessionId, change: () => Promise<void>): Promise<void> {
    return this.#run('write', () => change().finally(() => this.#index.sessionChanged(id)));
  }

  #changeWindow(name: WindowName, change: () => Promise<void>): Promise<void> {
    return this.#run('write', () => change().finally(() => this.#index.windowChanged(name)));
  }

  async #run<T>(access: Access, operation: () => Promise<T>): Promise<T> {
    if (access === 'write' && this.readOnlyWhy) throw this.readOnlyWhy;
    if (this.#closed) throw new CwmError('BackendUnavailable', 'The store is closed: the backend is ending.');
    const running = Promise.resolve().then(operation);
    this.#running.add(running);
    try {
      return await running;
    } catch (error) {
      const { files, layout } = this.#parts;
      throw storageError(error, access, layout.root, isFull(error) ? await roomLeft(files, layout.root) : null);
    } finally {
      this.#running.delete(running);
    }
  }
}
