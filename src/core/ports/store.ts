import type { LineageId, MessageId, ProjectUri, SessionId, WindowName } from '../../protocol/ids.ts';
import type { Receipt } from '../../protocol/schemas/receipt.ts';
import type { Lifecycle, Message, Session } from '../../protocol/schemas/session.ts';
import type { VerifyStep } from '../../protocol/schemas/health.ts';
import type { BlockRecord, KvRecord, WindowManifest, WindowSummary } from '../../protocol/schemas/window.ts';
import type { StateStore } from './states.ts';

export interface Page<T> {
  readonly items: readonly T[];
  /** How many there are in all, before paging. */
  readonly total: number;
}

export interface SessionQuery {
  readonly project?: ProjectUri;
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

export interface WindowQuery {
  readonly session?: SessionId;
  readonly project?: ProjectUri;
  readonly model?: string;
  /** The window must have all of them. */
  readonly tags?: readonly string[];
  /** In name and description; `%` and `_` match literally (S0-09). */
  readonly search?: string;
  /** ISO 8601 stamps, exclusive. */
  readonly createdAfter?: string;
  readonly createdBefore?: string;
  readonly sortBy: 'name' | 'createdAt' | 'tokens' | 'kvBytes';
  readonly order: 'asc' | 'desc';
  /** 1 to 100. */
  readonly limit: number;
  readonly offset: number;
}

/** A session and all its clones. They share one salt, so that they can share KV. */
export interface Lineage {
  readonly id: LineageId;
  readonly salt: string;
  /** A repair increases it by one when damaged KV cannot be deleted: no request can reach that KV under the next salt. */
  readonly generation: number;
}

/** The content of a session that continues another one. */
export interface SessionContent {
  /**
   * The session that has the messages. The new session shares them, without writing their text again where the file system allows that.
   */
  readonly from: SessionId;
  readonly messageIds: readonly MessageId[];
  /** The ids that `tokens` of the new session names; null when it names none. */
  readonly tokenIds: readonly number[] | null;
}

/**
 * Every write that returns has reached the disk: it survives `kill -9` and a power cut. All throw `CwmError`: WriteFailed,
 * ReadFailed, StorageFull when the disk is full (nothing was changed then), Corrupted when a record is damaged (it was set aside).
 */
export interface SessionStore {
  /**
   * With its content, or not at all.
   *
   * @param content default: none.
   * @throws CwmError SessionExists when the id is taken, SessionNotFound and MessageNotFound when the session or a message of the
   *   content does not exist.
   */
  createSession(session: Session, content?: SessionContent): Promise<void>;
  getSession(id: SessionId): Promise<Session | null>;
  /** Replaces the session whose version is one less. @throws CwmError VersionConflict when that is not the stored one, SessionNotFound when there is none. */
  updateSession(next: Session): Promise<void>;
  /** Latest change first; equal stamps by id. */
  listSessions(query: SessionQuery): Promise<Page<Session>>;
  /** Every session, whether or not it can be read: lists the directory only. */
  sessionIds(): Promise<readonly SessionId[]>;
  /** Moves it to the trash with its messages. */
  deleteSession(id: SessionId): Promise<void>;

  /** Adds to the pool. A message is stored whole or not at all, and never changes. */
  appendMessages(id: SessionId, messages: readonly Message[]): Promise<void>;
  /** In the order asked for. @throws CwmError MessageNotFound when one does not exist. */
  loadMessages(id: SessionId, messageIds: readonly MessageId[]): Promise<Message[]>;

  /**
   * Stores token ids beside the session under their SHA-256; the store may remove them once the session names others. @returns the
   * SHA-256.
   */
  saveTokens(id: SessionId, ids: readonly number[]): Promise<string>;
  /** @throws CwmError Corrupted when their SHA-256 is another one. */
  loadTokens(id: SessionId, sha256: string): Promise<number[]>;
}

export interface WindowStore {
  /** All of it or nothing appears. @throws CwmError WindowExists when the name is taken. */
  createWindow(manifest: WindowManifest, ids: readonly number[], kv: KvRecord): Promise<void>;
  getWindow(name: WindowName): Promise<WindowManifest | null>;
  /** @throws CwmError WindowNotFound, or Corrupted when they differ from the manifest's SHA-256. */
  loadWindowTokens(name: WindowName): Promise<number[]>;
  loadWindowKv(name: WindowName): Promise<KvRecord>;
  replaceWindowKv(name: WindowName, kv: KvRecord): Promise<void>;
  /**
   * Of these block hashes and handles of `except`, those that another window was recorded with. Only windows of its lineage are looked at:
   * a block's hash covers the lineage's salt. @throws CwmError WindowNotFound.
   */
  blocksHeldByOthers(hashes: readonly string[], except: WindowName): Promise<ReadonlySet<string>>;
  /** The checksums that windows other than `except` recorded for these block hashes; a hash that no other window has is absent. */
  checksumsOfOthers(hashes: readonly string[], except: WindowName): Promise<ReadonlyMap<string, readonly string[]>>;
  /**
   * The records of a lineage's windows for these block hashes, the newest window's first; hashes without a record are absent.
   *
   * @param mostWindows how many of the newest windows are read; default all.
   */
  recordsOfLineage(
    lineage: LineageId,
    hashes: readonly string[],
    mostWindows?: number,
  ): Promise<ReadonlyMap<string, readonly BlockRecord[]>>;
  appendReceipt(name: WindowName, receipt: Receipt): Promise<void>;
  /** Oldest first. */
  listReceipts(name: WindowName): Promise<Receipt[]>;
  listWindows(query: WindowQuery): Promise<Page<WindowSummary>>;
  /** Every window whose manifest can be read, in no order. */
  allWindows(): Promise<readonly WindowSummary[]>;
  /** Every window, whether or not it can be read: lists the directory only. */
  windowNames(): Promise<readonly WindowName[]>;
  setPinned(name: WindowName, isPinned: boolean): Promise<void>;
  isPinned(name: WindowName): Promise<boolean>;
  /** Moves it to the trash. */
  deleteWindow(name: WindowName): Promise<void>;
}

export interface LineageStore {
  createLineage(lineage: Lineage): Promise<void>;
  /** @throws CwmError Corrupted when it does not exist: a session or window without its lineage is damaged. */
  getLineage(id: LineageId): Promise<Lineage>;
  /** Advances to the next generation, unless another call already did. @returns the current lineage. */
  advanceLineage(id: LineageId, fromGeneration: number): Promise<Lineage>;
}

export interface ProjectStore {
  /** The current session of this project, or null. */
  activeSession(project: ProjectUri): Promise<SessionId | null>;
  setActiveSession(project: ProjectUri, id: SessionId | null): Promise<void>;
}

/** Sizes of the files. A file with several names, like a message of a clone, counts once. */
export interface StorageSizes {
  /** Sessions, windows and their files, which cannot be computed again. */
  readonly recordBytes: number;
  /** Of `recordBytes`, those of each window. */
  readonly windowBytes: ReadonlyMap<string, number>;
  /** The bytes that emptying the trash would free. */
  readonly trashBytes: number;
  readonly quarantineBytes: number;
  /** Index, logs, unfinished writes; nothing of the KV cache. */
  readonly otherBytes: number;
}

/** A deleted item that can still be restored. */
export interface TrashItem {
  readonly id: string;
  /** {@link SpaceStore.restore} cannot restore `other`. */
  readonly kind: 'session' | 'window' | 'other';
  readonly name: string;
  readonly deletedAt: string;
  /** Removed by the first start after this. */
  readonly expiresAt: string;
  /** Bytes that its removal frees. */
  readonly sizeBytes: number;
}

export interface SpaceStore {
  /** Looks at every file: about 5 µs each. */
  measure(signal: AbortSignal): Promise<StorageSizes>;
  /** Bytes that may still be written to the disk; null where the system does not tell. */
  freeBytes(): Promise<number | null>;
  /** The last deleted item comes first. */
  listTrash(): Promise<readonly TrashItem[]>;
  /**
   * Restores a deleted session or window. @throws CwmError PathNotFound when it is not in the trash, WindowExists or SessionExists when
   * the name is taken by now, SessionNotFound when a window's session is gone.
   */
  restore(trashId: string): Promise<TrashItem>;
  /** Removes for good the items in the trash that are past their grace time, or all. @returns the removed items. */
  emptyTrash(which: 'expired' | 'all'): Promise<readonly TrashItem[]>;
}

export type OnChecked = (step: string, done: number, of: number) => void;

export interface Store extends SessionStore, WindowStore, LineageStore, ProjectStore, SpaceStore {
  /** The states that clients store with sessions, and recovery points. */
  readonly states: StateStore;
  /**
   * Reads every record and checks it against its checksums and against the others. Changes nothing. `onChecked` gets the number of
   * items that a step has checked, and their total.
   */
  verify(signal: AbortSignal, onChecked?: OnChecked): Promise<VerifyStep[]>;
  /**
   * Sets damaged files aside, rebuilds lost session records from their messages, and the index from the files. @param engine for
   * sessions whose own engine is not known any more. @returns what was done, in plain words.
   */
  repair(engine: string, signal: AbortSignal, onChecked?: OnChecked): Promise<string[]>;
}
