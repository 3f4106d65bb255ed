import { SerialQueue } from '../base/serialQueue.ts';
import type { Store } from '../core/ports/store.ts';
import { nullOn, type CwmError } from '../protocol/errors.ts';
import type { Backup } from '../protocol/schemas/space.ts';
import type { AuditFact } from '../protocol/schemas/audit.ts';
import { AuditLog, ownFact } from './audit/auditLog.ts';
import { recover } from './check/recovery.ts';
import { repairStore } from './check/repairStore.ts';
import { verifyStore, type VerifiedStore } from './check/verifyStore.ts';
import { ClockWatch } from './disk/clockWatch.ts';
import type { StoreProblem } from './disk/quarantine.ts';
import type { StoreDisk } from './disk/storeDisk.ts';
import type { Envelope } from './encryption/envelope.ts';
import type { Encryption, OpenedEncryption } from './encryption/openEncryption.ts';
import { IndexSource } from './index/indexSource.ts';
import { LiveIndex, type RecordListener } from './index/liveIndex.ts';
import { SharedBlocks } from './index/sharedBlocks.ts';
import type { MigrationDone } from './migrations/migrateStore.ts';
import type { PreparedStore } from './migrations/prepareStore.ts';
import { accesses } from './parts/accesses.ts';
import { auditTrail, type AuditTrail } from './parts/auditTrail.ts';
import { sessionPart } from './parts/sessionPart.ts';
import { StoreGuard } from './parts/storeGuard.ts';
import { trashPart } from './parts/trashPart.ts';
import { windowPart } from './parts/windowPart.ts';
import { AnswerLogFile } from './records/answerLogFile.ts';
import { CheckpointFiles } from './records/checkpointFiles.ts';
import { EngineChoice } from './records/engineChoice.ts';
import { FreezeIntents } from './records/freezeIntents.ts';
import { MemoryFiles } from './records/memoryFiles.ts';
import { LineageFiles } from './records/lineageFiles.ts';
import { ProjectFiles } from './records/projectFiles.ts';
import { PromptFiles } from './records/promptFiles.ts';
import { SessionFiles } from './records/sessionFiles.ts';
import { Trash } from './records/trash.ts';
import { WindowFiles } from './records/windowFiles.ts';
import { listBackups } from './space/backups.ts';
import { measureStorage } from './space/storageSizes.ts';
import { LiveMessageSearch } from './index/messageSearch.ts';
import { StateFiles } from './states/stateFiles.ts';

/** {@link Store} on plain files, with an index beside them (`docs/storage-format.md`). */
export class FileStore implements Store {
  readonly #parts: StoreDisk;
  readonly #prepared: PreparedStore;
  readonly #index: LiveIndex;
  readonly #search: LiveMessageSearch;
  readonly #guard: StoreGuard;
  readonly #audit: AuditLog;
  /** Part of opening. */
  readonly #recover: () => Promise<AuditFact[]>;
  readonly #closing = new SerialQueue();
  /** Whether the store is encrypted on the disk. */
  readonly encryption: Encryption;
  /** What the embedded engine encrypts KV with; null where the store is not encrypted. */
  readonly kvKey: Uint8Array | null;
  /** For files of the backend that are no records. */
  readonly envelope: Envelope;
  readonly sessions: Store['sessions'];
  readonly messages: Store['messages'];
  readonly memory: Store['memory'];
  readonly answers: Store['answers'];
  readonly search: Store['search'];
  readonly windows: Store['windows'];
  readonly checkpoints: Store['checkpoints'];
  readonly blocks: Store['blocks'];
  readonly receipts: Store['receipts'];
  readonly lineages: Store['lineages'];
  readonly projects: Store['projects'];
  readonly prompts: Store['prompts'];
  readonly states: Store['states'];
  readonly trash: Store['trash'];
  readonly space: Store['space'];
  readonly check: Store['check'];
  readonly audit: AuditTrail;
  /** The engine of sessions that name none. */
  readonly engine: Pick<EngineChoice, 'chosen' | 'choose'>;

  readonly backups: { list(signal: AbortSignal): Promise<readonly Backup[]> };

  constructor(
    prepared: PreparedStore,
    { encryption, envelope, kvKey }: Omit<OpenedEncryption, 'files'>,
    sqlWasmPath: string | null,
  ) {
    const { parts } = prepared;
    const intents = new FreezeIntents(parts);
    const trash = new Trash(parts);
    const clockWatch = new ClockWatch(parts);
    const sessions = new SessionFiles(parts, intents, trash);
    const windows = new WindowFiles(parts, sessions, intents, trash);
    const lineages = new LineageFiles(parts);
    const states = new StateFiles(parts, sessions);
    const source = new IndexSource(parts, sessions, windows);
    const index = new LiveIndex(parts, source, sqlWasmPath);
    const audit = new AuditLog(parts, trash, clockWatch);
    const verified: VerifiedStore = { parts, sessions, windows, lineages, states, source, index, audit };
    const search = new LiveMessageSearch(
      parts,
      {
        ids: () => source.sessionIds(),
        messageIds: (id) => sessions.storedMessages(id),
        load: (id, ids) => sessions.loadMessages(id, ids),
        projectOf: async (id) => (await nullOn(sessions.get(id), 'Corrupted'))?.project ?? null,
      },
      sqlWasmPath,
    );
    const indexes: RecordListener = {
      changed: (record) => {
        index.changed(record);
        if ('session' in record) search.changed(record);
      },
    };
    const guard = new StoreGuard(parts, indexes, prepared.readOnlyWhy);

    this.#parts = parts;
    this.#prepared = prepared;
    this.#index = index;
    this.#search = search;
    this.#guard = guard;
    this.#audit = audit;
    this.encryption = encryption;
    this.envelope = envelope;
    this.kvKey = kvKey;
    this.sessions = guard.part(accesses.sessions, sessionPart(parts, sessions, index, source));
    this.messages = guard.part(accesses.messages, {
      append: async (id, messages) => {
        try {
          await sessions.appendMessages(id, messages);
          search.appended(id, messages);
        } catch (error) {
          // A part of it may be stored.
          search.changed({ session: id });
          throw error;
        }
      },
      chain: (id, head) => sessions.chainOfMessages(id, head),
      load: (id, ids) => sessions.loadMessages(id, ids),
      loadOrStandIns: (id, ids, first) => sessions.loadMessagesOrStandIns(id, ids, first),
    });
    this.memory = guard.part(accesses.memory, new MemoryFiles(parts, sessions));
    this.answers = guard.part(accesses.answers, new AnswerLogFile(parts));
    this.search = guard.part(accesses.search, search);
    this.windows = guard.part(accesses.windows, windowPart(windows, index, source));
    const checkpoints = new CheckpointFiles(parts, sessions);
    this.checkpoints = guard.part(accesses.checkpoints, checkpoints);
    this.blocks = guard.part(accesses.blocks, new SharedBlocks(windows, checkpoints, index, source));
    this.receipts = guard.part(accesses.receipts, {
      append: (window, receipt) => windows.appendReceipt(window, receipt),
      list: (window) => windows.listReceipts(window),
    });
    this.lineages = guard.part(accesses.lineages, lineages);
    this.projects = guard.part(accesses.projects, new ProjectFiles(parts));
    this.prompts = guard.part(accesses.prompts, new PromptFiles(parts, trash));
    this.states = guard.part(accesses.states, states);
    this.trash = guard.part(accesses.trash, trashPart(parts, trash, sessions, windows, { indexes, search }));
    this.space = guard.part(accesses.space, {
      measure: (signal) => measureStorage(parts, signal),
      freeBytes: () => parts.files.freeBytes(parts.layout.root),
      isClockSteady: () => clockWatch.isSteady(),
    });
    this.check = guard.part(accesses.check, {
      verify: (signal, onChecked = () => undefined) => verifyStore(verified, onChecked, signal),
      repair: (engine, signal, onChecked = () => undefined) => repairStore(verified, engine, onChecked, signal),
    });
    this.audit = auditTrail(audit, guard);
    this.engine = guard.part({ chosen: 'read', choose: 'write' }, new EngineChoice(parts));
    this.backups = guard.part<FileStore['backups']>({ list: 'read' }, { list: (signal) => listBackups(parts, signal) });
    this.#recover = async () => {
      const finished = await recover({ disk: parts, sessions, windows, intents, trash, clockWatch });
      await states.recover();
      await audit.open();
      return finished.map((freeze) => ownFact('SESSION_STATE_CHANGE', { ...freeze, to: 'frozen' }));
    };
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

  /** The backup that took the place of the records when it was opened; null: none did. */
  get restored(): PreparedStore['restored'] {
    return this.#prepared.restored;
  }

  /** What was done to bring the store to this format when it was opened. */
  get migrated(): readonly MigrationDone[] {
    return this.#prepared.migrated;
  }

  /** Part of opening; again it does nothing. */
  async recover(): Promise<void> {
    const finished = await this.#recover();
    const migrated = this.migrated.map(({ from, to }) =>
      ownFact('STORE_MIGRATE', { from: String(from), to: String(to) }),
    );
    const { restored } = this;
    const restore = restored ? [ownFact('STORE_RESTORE', { from: restored.backup, to: restored.aside })] : [];
    await this.#audit.append([...restore, ...migrated, ...finished]);
  }

  /** Waits for running calls and saves the indexes. Refuses later calls. */
  close(): Promise<void> {
    this.#guard.close();
    return this.#closing.run(async () => {
      await this.#guard.rest();
      await this.#audit.close();
      await this.#index.close();
      await this.#search.close();
    });
  }

  /**
   * Loads the index before the first list asks for it: about a second at 10,000 windows. Only lists wait for it. Never throws: the
   * first list meets the same error and reports it.
   */
  async warmIndex(): Promise<void> {
    await this.#guard.run('read', () => this.#index.query(() => undefined)).catch(() => undefined);
  }
}
