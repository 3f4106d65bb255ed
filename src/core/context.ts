import type { Clock } from '../base/clock.ts';
import type { KeyedQueue } from '../base/serialQueue.ts';
import type { LineageId, SessionId } from '../protocol/ids.ts';
import type { ContextFileReader } from './ports/contextFiles.ts';
import type { EngineRegistry } from './ports/engineRegistry.ts';
import type { StatePeers } from './ports/states.ts';
import type { Store } from './ports/store.ts';
import type { PrefillRates } from './turns/prefillRates.ts';
import type { Space } from './space/space.ts';
import type { Trackers } from './tracker/trackers.ts';

/** What every operation of the core works with. */
export interface CoreContext {
  readonly store: Store;
  readonly engines: EngineRegistry;
  readonly files: ContextFileReader;
  readonly clock: Clock;
  readonly prefill: PrefillRates;
  readonly space: Space;
  readonly trackers: Trackers;
  /** What a session's state can be synchronised with. */
  readonly peers: StatePeers;
  /** What changes a session runs one after another for that session. */
  readonly turns: KeyedQueue<SessionId>;
  /**
   * What records a lineage's KV runs one after another for it, always inside `turns`: its windows share block files, and one that is
   * computed again by one of them looks damaged to the others until that is recorded.
   */
  readonly kvRecords: KeyedQueue<LineageId>;
}
