import type { Clock } from '../base/clock.ts';
import type { BackgroundWork } from './windows/checkpoints/backgroundWork.ts';
import type { Sleep } from '../base/clock.ts';
import type { KeyedQueue } from '../base/serialQueue.ts';
import type { LineageId, SessionId } from '../protocol/ids.ts';
import type { Changes } from './signallingStore.ts';
import type { ContextFileReader } from './ports/contextFiles.ts';
import type { EngineRegistry } from './ports/engineRegistry.ts';
import type { Caller, ProjectFolders } from './ports/projects.ts';
import type { StatePeers } from './ports/states.ts';
import type { Store } from './ports/store.ts';
import type { Cost, TokensTaken } from '../protocol/schemas/session.ts';
import type { ContinueFrom } from '../protocol/settings/sessionChoices.ts';
import type { ToolBox } from './ports/tools.ts';
import type { SessionContextManager } from './projects/sessionContextManager.ts';
import type { MemoryPlugins } from './memory/plugins.ts';
import type { Memories } from './memory/memories.ts';
import type { Meaning } from './memory/search/meaning.ts';
import type { Conversations } from './turns/conversations.ts';
import type { PrefillRates } from './turns/prefillRates.ts';
import type { Turn } from './turns/turn.ts';
import type { Space } from './space/space.ts';
import type { Recording } from './projects/recording.ts';
import type { EngineHolders } from './windows/checkpoints/engineHolders.ts';
import type { CheckpointKeeper } from './windows/checkpoints/checkpointKeeper.ts';
import type { Warmings } from './windows/checkpoints/warmings.ts';
import type { Trackers } from './tracker/trackers.ts';

/** Null: the model has no price, or the model server did not count the tokens. */
export type PriceOf = (taken: TokensTaken) => Cost | null;

/** The objects that every operation of the core uses. */
export interface CoreContext {
  readonly store: Store;
  readonly engines: EngineRegistry;
  readonly files: ContextFileReader;
  readonly folders: ProjectFolders;
  /** Who runs the current operation. */
  readonly caller: () => Caller;
  readonly clients: SessionContextManager;
  readonly clock: Clock;
  /** Between two tries of the same request. */
  readonly sleep: Sleep;
  /** What prompts continue from where a message does not say. */
  readonly continueFrom: ContinueFrom;
  readonly prefill: PrefillRates;
  readonly conversations: Conversations;
  readonly memories: Memories;
  readonly memoryPlugins: MemoryPlugins;
  readonly meaning: Meaning;
  /** Turns whose answer comes at this moment; also one whose answer could not be stored, until the session's next operation stores it. */
  readonly underWay: Map<SessionId, Turn>;
  /** By session: aborts the turn that runs. */
  readonly running: Map<SessionId, AbortController>;
  /** Receives the tokens of each request of a turn, inside the caller's request. */
  readonly took: (session: SessionId, taken: TokensTaken) => void;
  /** Reads the user's prices as they are now. */
  readonly pricing: () => Promise<PriceOf>;
  readonly tools: ToolBox;
  /** For what changes without a write; the store tells of each write. */
  readonly changes: Changes;
  readonly space: Space;
  /** Work for which nobody waits, on the KV of a session or on the meaning of messages (a symbol: no session has that key); a turn goes first. */
  readonly background: BackgroundWork<SessionId | symbol>;
  readonly holders: EngineHolders;
  readonly recording: Recording;
  readonly checkpoints: CheckpointKeeper;
  readonly warmings: Warmings;
  readonly trackers: Trackers;
  /** The folders that a session's state can be synchronised with. */
  readonly peers: StatePeers;
  /** Operations that change a session run one after another for that session. */
  readonly turns: KeyedQueue<SessionId>;
  /**
   * Operations that record a lineage's KV run one after another for its family, always inside `turns`. Its windows share block files:
   * a file that one window computed again looks damaged to the others until the new checksum is recorded.
   */
  readonly kvRecords: KeyedQueue<LineageId>;
}
