import type { Clock } from '../base/clock.ts';
import { KeyedQueue } from '../base/serialQueue.ts';
import type { ParsedInput, RouteInput, RouteOutput } from '../protocol/api.ts';
import type { PrimeResult, SendResult } from '../protocol/schemas/turn.ts';
import { parseSessionId, type LineageId, type SessionId } from '../protocol/ids.ts';
import type { Receipt } from '../protocol/schemas/receipt.ts';
import type { Session } from '../protocol/schemas/session.ts';
import type { Changes } from './changes.ts';
import { clone } from './windows/clone.ts';
import type { CoreContext } from './context.ts';
import { freeze } from './windows/freeze.ts';
import type { BlockCache } from './ports/blockCache.ts';
import type { ContextFileReader } from './ports/contextFiles.ts';
import type { EngineRegistry } from './ports/engineRegistry.ts';
import type { StatePeers } from './ports/states.ts';
import type { Store } from './ports/store.ts';
import { PrefillRates } from './turns/prefillRates.ts';
import { prime } from './turns/prime.ts';
import { createSession, deleteSession, listMessages, listSessions, recoverInterrupted } from './sessions/sessions.ts';
import { activateSession, activeSession } from './projects/activeSession.ts';
import { requireSession } from './session.ts';
import { Collector } from './space/collector.ts';
import { defaultLimits, type SpaceLimits } from './space/limits.ts';
import { pinWindow } from './windows/pinWindow.ts';
import { prune } from './windows/prune.ts';
import { makeSpace } from './space/space.ts';
import { emptyTrash, listTrash, restoreFromTrash } from './space/trash.ts';
import { usage } from './space/usage.ts';
import { thaw } from './windows/thaw.ts';
import { AutoSync, type AutoSyncConfig } from './tracker/autoSync.ts';
import { makeTrackers, noPeers } from './tracker/makeTrackers.ts';
import {
  activateState,
  createRecoveryPoint,
  getState,
  listRecoveryPoints,
  restoreRecoveryPoint,
  syncState,
  updateState,
} from './tracker/operations.ts';
import type { TrackerConfig } from './tracker/trackerConfig.ts';
import { send } from './turns/turns.ts';
import { verify } from './verify.ts';
import { deleteWindow, getWindow, listWindows } from './windows/windows.ts';

export interface CwmParts {
  readonly store: Store;
  readonly engines: EngineRegistry;
  readonly files: ContextFileReader;
  readonly clock: Clock;
  readonly changes: Changes;
  /** The embedded engine's blocks. Default: it has none. */
  readonly blocks?: BlockCache;
  /** Default: {@link noPeers}. */
  readonly peers?: StatePeers;
  readonly tracker?: Partial<TrackerConfig>;
  /** Default: states are synchronised only when somebody asks for it. */
  readonly stateSync?: AutoSyncConfig;
  /** Default: {@link defaultLimits}. */
  readonly limits?: Partial<SpaceLimits>;
  /** Hears what goes wrong where nobody waits for an answer. Without it, nothing may go wrong there. */
  readonly onBackgroundFailure?: (error: unknown, what: string) => void;
}

const noBlocks: BlockCache = {
  sizes: async () => ({ blockBytes: 0, otherBytes: 0 }),
  list: async () => [],
  delete: async () => 0,
};

function rethrow(error: unknown): never {
  throw error;
}

/** What can be asked of the core: one method for each route of the control API that concerns the domain. */
export class Cwm {
  readonly #core: CoreContext;
  readonly #collector: Collector;
  readonly #autoSync: AutoSync;

  constructor(parts: CwmParts) {
    const { store, engines, files, clock, changes } = parts;
    const space = makeSpace(store, parts.blocks ?? noBlocks, clock, { ...defaultLimits, ...parts.limits });
    const [turns, kvRecords] = [new KeyedQueue<SessionId>(), new KeyedQueue<LineageId>()];
    const trackers = makeTrackers(store, clock, parts.tracker ?? {}, async (id) => {
      await createSession(this.#core, { id });
    });
    const peers = parts.peers ?? noPeers;
    this.#core = {
      store,
      engines,
      files,
      clock,
      changes,
      prefill: new PrefillRates(),
      space,
      trackers,
      peers,
      turns,
      kvRecords,
    };
    const onFailure = parts.onBackgroundFailure ?? rethrow;
    this.#collector = new Collector(space, clock, (error) => onFailure(error, 'the KV budget could not be kept'));
    this.#autoSync = new AutoSync(
      trackers,
      peers,
      parts.stateSync ?? { folder: '', intervalMs: 0 },
      (session) => changes.emit({ type: 'session', session }),
      (error) => onFailure(error, 'a state could not be synchronised'),
    );
  }

  /** To be called once, before anything else is asked. @returns ids of the sessions whose turn a crash had interrupted. */
  recover(): Promise<string[]> {
    this.#autoSync.start();
    return recoverInterrupted(this.#core);
  }

  /** Resolves when nothing is under way in the background. */
  settled(): Promise<void> {
    return this.#collector.settled();
  }

  /** Ends what is under way in the background; operations are for their callers to end. */
  close(): Promise<void> {
    this.#autoSync.close();
    return this.#collector.close();
  }

  createSession(input: RouteInput<'createSession'>): Promise<RouteOutput<'createSession'>> {
    return createSession(this.#core, input);
  }

  listSessions(input: RouteInput<'listSessions'>): Promise<RouteOutput<'listSessions'>> {
    return listSessions(this.#core, input);
  }

  async getSession(input: RouteInput<'getSession'>): Promise<Session> {
    return requireSession(this.#core, parseSessionId(input.session));
  }

  deleteSession(input: RouteInput<'deleteSession'>, signal: AbortSignal): Promise<RouteOutput<'deleteSession'>> {
    return deleteSession(this.#core, input, signal);
  }

  listMessages(input: RouteInput<'listMessages'>): Promise<RouteOutput<'listMessages'>> {
    return listMessages(this.#core, input);
  }

  send(input: RouteInput<'send'>, signal: AbortSignal): Promise<SendResult> {
    return this.#writingKv(send(this.#core, input, signal));
  }

  prime(input: RouteInput<'prime'>, signal: AbortSignal): Promise<PrimeResult> {
    return this.#writingKv(prime(this.#core, input, signal));
  }

  freeze(input: RouteInput<'freeze'>, signal: AbortSignal): Promise<Receipt> {
    return this.#writingKv(freeze(this.#core, input, signal));
  }

  thaw(input: RouteInput<'thaw'>, signal: AbortSignal): Promise<Receipt> {
    return this.#writingKv(thaw(this.#core, input, signal));
  }

  clone(input: RouteInput<'clone'>, signal: AbortSignal): Promise<Receipt> {
    return clone(this.#core, input, signal);
  }

  listWindows(input: RouteInput<'listWindows'>): Promise<RouteOutput<'listWindows'>> {
    return listWindows(this.#core, input);
  }

  getWindow(input: RouteInput<'getWindow'>): Promise<RouteOutput<'getWindow'>> {
    return getWindow(this.#core, input);
  }

  deleteWindow(input: RouteInput<'deleteWindow'>, signal: AbortSignal): Promise<RouteOutput<'deleteWindow'>> {
    return deleteWindow(this.#core, input, signal);
  }

  pinWindow(input: RouteInput<'pinWindow'>): Promise<RouteOutput<'pinWindow'>> {
    return pinWindow(this.#core, input);
  }

  usage(_input: RouteInput<'usage'>, signal: AbortSignal): Promise<RouteOutput<'usage'>> {
    return usage(this.#core.space, signal);
  }

  prune(input: RouteInput<'prune'>, signal: AbortSignal): Promise<RouteOutput<'prune'>> {
    return prune(this.#core, input, signal);
  }

  listTrash(): Promise<RouteOutput<'listTrash'>> {
    return listTrash(this.#core);
  }

  restoreFromTrash(input: RouteInput<'restoreFromTrash'>): Promise<RouteOutput<'restoreFromTrash'>> {
    return restoreFromTrash(this.#core, input);
  }

  emptyTrash(input: ParsedInput<'emptyTrash'>): Promise<RouteOutput<'emptyTrash'>> {
    return emptyTrash(this.#core, input);
  }

  verify(input: RouteInput<'verify'>, signal: AbortSignal): Promise<RouteOutput<'verify'>> {
    return verify(this.#core, input, signal);
  }

  getState(input: RouteInput<'getState'>): Promise<RouteOutput<'getState'>> {
    return getState(this.#core, input);
  }

  updateState(input: RouteInput<'updateState'>): Promise<RouteOutput<'updateState'>> {
    return updateState(this.#core, input);
  }

  listRecoveryPoints(input: RouteInput<'listRecoveryPoints'>): Promise<RouteOutput<'listRecoveryPoints'>> {
    return listRecoveryPoints(this.#core, input);
  }

  createRecoveryPoint(input: RouteInput<'createRecoveryPoint'>): Promise<RouteOutput<'createRecoveryPoint'>> {
    return createRecoveryPoint(this.#core, input);
  }

  restoreRecoveryPoint(
    input: RouteInput<'restoreRecoveryPoint'>,
    signal: AbortSignal,
  ): Promise<RouteOutput<'restoreRecoveryPoint'>> {
    return restoreRecoveryPoint(this.#core, input, signal);
  }

  syncState(input: RouteInput<'syncState'>): Promise<RouteOutput<'syncState'>> {
    return syncState(this.#core, input);
  }

  activeStates(): Promise<RouteOutput<'activeStates'>> {
    return this.#core.trackers.active();
  }

  activateState(input: RouteInput<'activateState'>): Promise<RouteOutput<'activateState'>> {
    return activateState(this.#core, input);
  }

  deactivateState(): Promise<RouteOutput<'deactivateState'>> {
    return this.#core.trackers.deactivate();
  }

  activeSession(input: RouteInput<'activeSession'>): Promise<RouteOutput<'activeSession'>> {
    return activeSession(this.#core, input);
  }

  activateSession(input: RouteInput<'activateSession'>): Promise<RouteOutput<'activateSession'>> {
    return activateSession(this.#core, input);
  }

  /** The budget is looked after once it has ended, however it did. */
  async #writingKv<T>(operation: Promise<T>): Promise<T> {
    try {
      return await operation;
    } finally {
      this.#collector.collectSoon();
    }
  }
}
