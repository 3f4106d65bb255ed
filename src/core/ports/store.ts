import type { AnswerLog } from './answerLog.ts';
import type { BlockRecords } from './blockRecords.ts';
import type { StoreCheck } from './check.ts';
import type { LineageStore } from './lineages.ts';
import type { MemoryStore, MessageStore } from './messages.ts';
import type { ProjectStore } from './projects.ts';
import type { PromptStore } from './prompts.ts';
import type { ReceiptStore } from './receipts.ts';
import type { MessageSearch } from './search.ts';
import type { SessionStore } from './sessions.ts';
import type { SpaceStore } from './space.ts';
import type { StateStore } from './states.ts';
import type { TrashStore } from './trash.ts';
import type { CheckpointStore, WindowStore } from './windows.ts';

/**
 * The store, in parts: one part an area, and nothing beside the parts, so that a guard or a decorator is one table over parts and methods.
 *
 * Every write that returns has reached the disk: it survives `kill -9` and a power cut. All methods throw `CwmError`: WriteFailed,
 * ReadFailed, StorageFull when the disk is full (nothing was changed then), Corrupted when a record is damaged (it was set aside).
 */
export interface Store {
  readonly sessions: SessionStore;
  readonly messages: MessageStore;
  readonly memory: MemoryStore;
  /** Answers that are not stored as messages yet. */
  readonly answers: AnswerLog;
  readonly search: MessageSearch;
  readonly windows: WindowStore;
  /** Of sessions; made without being asked for. */
  readonly checkpoints: CheckpointStore;
  readonly blocks: BlockRecords;
  readonly receipts: ReceiptStore;
  readonly lineages: LineageStore;
  readonly projects: ProjectStore;
  readonly prompts: PromptStore;
  /** The states that clients store with sessions, and recovery points. */
  readonly states: StateStore;
  readonly trash: TrashStore;
  readonly space: SpaceStore;
  readonly check: StoreCheck;
}
