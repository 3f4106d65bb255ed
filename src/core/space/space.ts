import { SerialQueue } from '../../base/serialQueue.ts';
import type { Clock } from '../../base/clock.ts';
import type { BlockCache } from '../ports/blockCache.ts';
import type { EngineRegistry } from '../ports/engineRegistry.ts';
import type { Store } from '../ports/store.ts';
import { BlocksInUse } from './blocksInUse.ts';
import { KvOfOtherEngines } from './kvOfOtherEngines.ts';
import type { SpaceLimits } from './limits.ts';
import { Places, type Census } from './places.ts';
import { UsedBytes } from './usedBytes.ts';

/** The objects that all operations share which take or free space. */
export interface Space {
  readonly store: Store;
  readonly cache: BlockCache;
  readonly kvOfOtherEngines: KvOfOtherEngines;
  readonly limits: SpaceLimits;
  readonly inUse: BlocksInUse;
  readonly used: UsedBytes;
  readonly sessions: Places;
  readonly windows: Places;
  /** Size of a block's file, by the engine that wrote it. */
  readonly blockBytes: Map<string, number>;
  /** Operations that evict blocks, or change which blocks may be evicted, run one after another. */
  readonly lock: SerialQueue;
}

export const makeSpace = (
  { store, engines }: { readonly store: Store; readonly engines: EngineRegistry },
  cache: BlockCache,
  clock: Clock,
  limits: SpaceLimits,
): Space => ({
  store,
  cache,
  kvOfOtherEngines: new KvOfOtherEngines(store, engines, clock),
  limits,
  inUse: new BlocksInUse(),
  used: new UsedBytes(store, cache, clock),
  sessions: new Places(sessionCensus(store), limits.sessions),
  windows: new Places(windowCensus(store), limits.windows),
  blockBytes: new Map(),
  lock: new SerialQueue(),
});

const sessionCensus = (store: Store): Census => ({
  what: 'session',
  count: async () => (await store.sessions.ids()).length,
  async oldest() {
    const { total } = await store.sessions.list({ limit: 1, offset: 0 });
    const [session] = (await store.sessions.list({ limit: 1, offset: Math.max(0, total - 1) })).items;
    return session ? { name: session.id, at: session.updatedAt } : null;
  },
});

const windowCensus = (store: Store): Census => ({
  what: 'window',
  count: async () => (await store.windows.names()).length,
  async oldest() {
    const [window] = (await store.windows.list({ sortBy: 'createdAt', order: 'asc', limit: 1, offset: 0 })).items;
    return window ? { name: window.name, at: window.createdAt } : null;
  },
});
