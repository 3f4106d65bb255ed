import type { ProjectUri, SessionId, WindowName } from '../../protocol/ids.ts';
import type { Checkpoint } from '../../protocol/schemas/checkpoint.ts';
import type { KvRecord, WindowManifest, WindowSummary } from '../../protocol/schemas/window.ts';
import type { Page } from './page.ts';

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

export interface WindowStore {
  /** All of it or nothing appears. @throws CwmError WindowExists when the name is taken. */
  create(manifest: WindowManifest, ids: readonly number[], kv: KvRecord): Promise<void>;
  get(name: WindowName): Promise<WindowManifest | null>;
  /** @throws CwmError WindowNotFound, or Corrupted when they differ from the manifest's SHA-256. */
  loadTokens(name: WindowName): Promise<number[]>;
  /** @throws CwmError WindowNotFound, or Corrupted when a part of it is missing or damaged. */
  loadKv(name: WindowName): Promise<KvRecord>;
  /** All but the blocks, which are many: their list is not read. @throws CwmError as {@link loadKv}. */
  loadKvHead(name: WindowName): Promise<Omit<KvRecord, 'blocks'>>;
  replaceKv(name: WindowName, kv: KvRecord): Promise<void>;
  list(query: WindowQuery): Promise<Page<WindowSummary>>;
  /** Every window whose manifest can be read, in no order. */
  all(): Promise<readonly WindowSummary[]>;
  /** Every window, whether or not it can be read: lists the directory only. */
  names(): Promise<readonly WindowName[]>;
  setPinned(name: WindowName, isPinned: boolean): Promise<void>;
  isPinned(name: WindowName): Promise<boolean>;
  /** Moves it to the trash. */
  delete(name: WindowName): Promise<void>;
}

/** The rolling checkpoints of sessions, at most one each. They are cache: one that is damaged is set aside and counts as none. */
export interface CheckpointStore {
  get(session: SessionId): Promise<Checkpoint | null>;
  /**
   * Replaces the session's checkpoint: after a crash the earlier or this one is there, whole. The session's log must have the token ids
   * already, and retains them as long as the checkpoint names them. @throws CwmError SessionNotFound.
   */
  put(checkpoint: Checkpoint): Promise<void>;
  /** Not into the trash. No error where there is none. */
  delete(session: SessionId): Promise<void>;
}
