import type { Clock } from '../base/clock.ts';
import { BackgroundWork } from './windows/checkpoints/backgroundWork.ts';
import { KeyedQueue } from '../base/serialQueue.ts';
import type { LastEnd } from '../protocol/backendRecord.ts';
import type { CoreRouteName } from '../protocol/api.ts';
import { parseProjectUri, type LineageId, type SessionId } from '../protocol/ids.ts';
import { systemSleep, type Sleep } from '../base/clock.ts';
import type { CoreContext } from './context.ts';
import { bindOperations, type Operations } from './operations.ts';
import { signallingStore, type Changes } from './signallingStore.ts';
import type { BlockCache } from './ports/blockCache.ts';
import type { ContextFileReader } from './ports/contextFiles.ts';
import type { EngineRegistry } from './ports/engineRegistry.ts';
import type { ProjectFolders } from './ports/projects.ts';
import type { StatePeers } from './ports/states.ts';
import type { Store } from './ports/store.ts';
import type { ContinueFrom, Isolation } from '../protocol/settings/sessionChoices.ts';
import { noTools, type ToolBox } from './ports/tools.ts';
import { type AskedRequest, requestsOf } from './answers/requests.ts';
import { requireSession } from './session.ts';
import { SessionContextManager } from './projects/sessionContextManager.ts';
import { recoverInterrupted } from './sessions/recoverInterrupted.ts';
import { ClientTurns } from './sessions/memory/clientTurns.ts';
import { OutsideTurns } from './sessions/outside/outsideTurns.ts';
import { deleteSessionIf } from './sessions/deleteSession.ts';
import { Retention } from './space/retention.ts';
import { createSession } from './sessions/sessions.ts';
import { Collector } from './space/collector.ts';
import { defaultLimits, type SpaceLimits } from './space/limits.ts';
import { makeSpace } from './space/space.ts';
import { AutoSync, type AutoSyncConfig } from './tracker/autoSync.ts';
import { makeTrackers, noPeers } from './tracker/makeTrackers.ts';
import type { ConflictResolver } from './tracker/reconcile.ts';
import type { TrackerConfig } from './tracker/trackerConfig.ts';
import { memoryPlugins, type GivenMemoryPlugins } from './memory/plugins.ts';
import { Memories } from './memory/memories.ts';
import { Meaning } from './memory/search/meaning.ts';
import { Conversations } from './turns/conversations.ts';
import { CheckpointKeeper } from './windows/checkpoints/checkpointKeeper.ts';
import { EngineHolders } from './windows/checkpoints/engineHolders.ts';
import { Recording } from './projects/recording.ts';
import type { CheckpointPolicy } from './windows/checkpoints/checkpointPolicy.ts';
import { Warmings } from './windows/checkpoints/warmings.ts';
import { PrefillRates } from './turns/prefillRates.ts';

export interface CoreParts {
  readonly store: Store;
  readonly engines: EngineRegistry;
  readonly files: ContextFileReader;
  readonly clock: Clock;
  readonly changes: Changes;
  /** Between two tries of the same request. Default: by the clock. */
  readonly sleep?: Sleep | undefined;
  /** The embedded engine's blocks. Default: none. */
  readonly blocks?: BlockCache;
  /** Default: no project has a file. */
  readonly folders?: ProjectFolders;
  /** Who runs the current operation. Default: one client, `core`. */
  readonly caller?: CoreContext['caller'];
  /** Whether a client is connected now. Default: none is. */
  readonly isLive?: (client: string) => boolean;
  /** Default: {@link noTools}. */
  readonly tools?: ToolBox | undefined;
  /** Default: {@link noPeers}. */
  readonly peers?: StatePeers;
  readonly tracker?: Partial<TrackerConfig>;
  /** What becomes of a state that was changed on both sides, by the policy's name, beside those that are built in. Default: none. */
  readonly conflictPolicies?: Readonly<Record<string, ConflictResolver>>;
  /** Policies of eviction and compressors beside those that are built in. Default: none. */
  readonly memory?: GivenMemoryPlugins;
  /** Default: states are synchronised only on request. */
  readonly stateSync?: AutoSyncConfig;
  /** What prompts continue from where a message does not say. Default: `ids`. */
  readonly continueFrom?: ContinueFrom | undefined;
  /** Default: `project`. */
  readonly isolation?: Isolation | undefined;
  /** Default: {@link defaultLimits}. */
  readonly limits?: Partial<SpaceLimits>;
  /** When checkpoints are made without being asked for. Default: `defaultCheckpointPolicy`. */
  readonly checkpoints?: Partial<CheckpointPolicy> | undefined;
  /** Receives the tokens of each request of a turn. Default: nobody does. */
  readonly onTook?: CoreContext['took'];
  /** Default: nothing has a price. */
  readonly pricing?: CoreContext['pricing'];
  /** Receives failures of background work, which has no caller to throw to. Default: they are thrown. */
  readonly onBackgroundFailure?: (error: unknown, what: string) => void;
}

/** The domain: its operations, and its background work. */
export interface Core extends Operations {
  /** For conversations that other programs lead. */
  readonly outside: OutsideTurns;
  /** What the messages of a session say of the requests that they ended. @throws CwmError SessionNotFound, Corrupted. */
  requestsOf(session: SessionId): Promise<readonly AskedRequest[]>;
  /** For those that they lead with virtual memory. */
  readonly clientTurns: ClientTurns;
  /** Must be called once, before any operation. @returns ids of the sessions whose turn a crash had interrupted. */
  recover(): Promise<string[]>;
  /** Resolves when no background work is running. */
  settled(): Promise<void>;
  /** Ends the background work; callers end their own operations. @returns the sessions whose KV was not saved in time; null: none. */
  close(): Promise<Omit<LastEnd, 'pid'> | null>;
}

const recordingKv: ReadonlySet<CoreRouteName> = new Set(['freeze', 'thaw', 'makeProjectBase']);

const noBlocks: BlockCache = {
  sizes: async () => ({ blockBytes: 0, otherBytes: 0 }),
  list: async () => [],
  delete: async () => 0,
};

const noFolders: ProjectFolders = {
  canonical: async (project) => project,
  hints: async () => ({ remote: null, firstCommit: null }),
  exists: async () => null,
  pathOf: () => null,
  byChange: async (_, paths) => paths,
  config: async () => null,
  uriOf: async (folder) => parseProjectUri(`file://${folder}`),
};

function rethrow(error: unknown): never {
  throw error;
}

export function makeCore(parts: CoreParts): Core {
  const { engines, files, clock, changes, peers = noPeers, onBackgroundFailure: onFailure = rethrow } = parts;
  const store = signallingStore(parts.store, changes);
  const space = makeSpace({ store, engines }, parts.blocks ?? noBlocks, clock, { ...defaultLimits, ...parts.limits });
  const trackers = makeTrackers(
    store,
    clock,
    parts.tracker ?? {},
    async (id) => {
      await createSession(context, { id });
    },
    parts.conflictPolicies,
  );
  const ownContext = (): CoreContext => context;
  const collector = new Collector(space, clock, (error) => onFailure(error, 'the KV budget could not be enforced'));
  const onKvWritten = (): void => {
    space.kvOfOtherEngines.changed();
    collector.collectSoon();
  };
  const checkpoints = new CheckpointKeeper(
    ownContext,
    parts.checkpoints ?? {},
    (error) => onFailure(error, 'a checkpoint could not be made'),
    onKvWritten,
  );
  const warmings = new Warmings(
    ownContext,
    (error) => onFailure(error, "a session's KV could not be brought back"),
    onKvWritten,
  );
  const clients = new SessionContextManager(clock, parts.isLive ?? (() => false), (error) =>
    onFailure(error, 'the records of clients could not be swept'),
  );
  const context: CoreContext = {
    store,
    engines,
    files,
    folders: parts.folders ?? noFolders,
    caller: parts.caller ?? (() => ({ client: 'core', isAgent: false })),
    clients,
    clock,
    sleep: parts.sleep ?? systemSleep,
    continueFrom: parts.continueFrom ?? 'ids',
    prefill: new PrefillRates(),
    conversations: new Conversations(store.messages),
    memories: new Memories(store.memory),
    memoryPlugins: memoryPlugins(parts.memory ?? {}),
    meaning: new Meaning(ownContext, (error) => onFailure(error, 'messages could not be embedded')),
    underWay: new Map(),
    running: new Map(),
    took: parts.onTook ?? (() => undefined),
    pricing: parts.pricing ?? (async () => () => null),
    tools: parts.tools ?? noTools,
    changes,
    space,
    background: new BackgroundWork<SessionId | symbol>(),
    holders: new EngineHolders(engines, clock),
    recording: new Recording((project) => store.projects.isRecorded(project)),
    checkpoints,
    warmings,
    trackers,
    peers,
    turns: new KeyedQueue<SessionId>(),
    kvRecords: new KeyedQueue<LineageId>(),
  };
  const retention = new Retention({
    store,
    clock,
    days: space.limits.retentionDays,
    async remove(id, isStill) {
      if (context.turns.isBusy(id)) return;
      await deleteSessionIf(context, { session: id, cascade: true }, isStill, new AbortController().signal);
    },
    onFailure: (error) => onFailure(error, 'a session could not be moved to the trash'),
  });
  const autoSync = new AutoSync(trackers, peers, parts.stateSync ?? { folder: '', intervalMs: 0 }, (error) =>
    onFailure(error, 'a state could not be synchronised'),
  );
  return {
    ...bindOperations(context, (session, route, failure) => {
      // The others store no record of KV.
      if (recordingKv.has(route)) onKvWritten();
      else collector.collectSoon();
      if (session !== undefined) {
        checkpoints.afterTurn(session, failure);
        context.meaning.afterTurn(session);
      }
    }),
    clientTurns: new ClientTurns(ownContext),
    outside: new OutsideTurns(ownContext, parts.isolation ?? 'project'),
    requestsOf: async (session) => requestsOf(store.messages, await requireSession(context, session)),
    recover() {
      autoSync.start();
      clients.start();
      return recoverInterrupted(context).finally(() => retention.start());
    },
    async settled() {
      await retention.settled();
      await collector.settled();
      await warmings.settled();
      await checkpoints.settled();
      await context.meaning.settled();
    },
    async close() {
      autoSync.close();
      clients.stop();
      await context.meaning.close();
      await retention.stop();
      const lost = await checkpoints.close();
      await warmings.settled();
      await collector.close();
      return lost;
    },
  };
}
