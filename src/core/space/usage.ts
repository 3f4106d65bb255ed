import type { RouteInput, RouteOutput } from '../../protocol/api.ts';
import type { WindowUsage } from '../../protocol/schemas/space.ts';
import type { KvRecord, ReuseTotals, WindowSummary } from '../../protocol/schemas/window.ts';
import type { CoreContext } from '../context.ts';
import { ProjectUsages } from './projectUsage.ts';
import type { Space } from './space.ts';
import { kvOf, lastUsedAt, familyIdOf } from './windowUses.ts';

/** Measures everything: stats every file once, and reads the block list of every window. */
export async function usage(
  { space }: CoreContext,
  _input: RouteInput<'usage'>,
  signal: AbortSignal,
): Promise<RouteOutput<'usage'>> {
  const { store, cache, limits } = space;
  const sizes = await store.space.measure(signal);
  const { otherBytes: besideBlocks } = await cache.sizes(signal);
  const present = new Map<string, number>();
  for (const { hash, sizeBytes } of await cache.list(signal)) {
    present.set(hash, (present.get(hash) ?? 0) + sizeBytes);
  }
  const kvBytes = [...present.values()].reduce((sum, bytes) => sum + bytes, 0);
  const windows = await store.windows.all();
  const projects = new ProjectUsages(sizes, present, space.kvOfOtherEngines);
  await projects.addSessions(store, signal);
  for (const window of windows) projects.addWindow(window);
  const kv = new KvSums(present, (window, record) => projects.addKvOf(window, record));
  for (const ofLineage of await byLineage(space, windows)) await kv.add(space, ofLineage, signal);
  const items = windows.map((window) => ({
    name: window.name,
    pinned: window.pinned,
    lastUsedAt: lastUsedAt(window),
    tokens: window.tokens,
    recordBytes: sizes.windowBytes.get(window.name) ?? 0,
    kv: kv.ofWindow.get(window.name) ?? null,
  }));
  const { recordBytes, trashBytes, quarantineBytes } = sizes;
  const otherBytes = sizes.otherBytes + besideBlocks;
  return {
    kv: {
      bytes: kvBytes,
      blocks: present.size,
      windowBytes: kv.windowBytes,
      pinnedBytes: kv.pinnedBytes,
      looseBytes: kvBytes - kv.windowBytes,
      budgetBytes: limits.kvBudgetBytes,
      isBudgetOfAllEngines: limits.isBudgetOfAllEngines,
      elsewhereBytes: projects.elsewhereBytes,
    },
    recordBytes,
    trashBytes,
    quarantineBytes,
    otherBytes,
    totalBytes: kvBytes + recordBytes + trashBytes + quarantineBytes + otherBytes,
    quotaBytes: limits.storageQuotaBytes,
    freeBytes: await store.space.freeBytes(),
    sessions: { count: (await store.sessions.ids()).length, ...limits.sessions },
    windows: { count: (await store.windows.names()).length, ...limits.windows },
    reuse: sumReuse(windows),
    items: items.sort((a, b) => (a.name < b.name ? -1 : 1)),
    projects: projects.rows,
  };
}

const sumReuse = (windows: readonly WindowSummary[]): ReuseTotals =>
  windows.reduce(
    (sum, { reuse }) => ({
      thaws: sum.thaws + reuse.thaws,
      promptTokens: sum.promptTokens + reuse.promptTokens,
      cachedTokens: sum.cachedTokens + reuse.cachedTokens,
    }),
    { thaws: 0, promptTokens: 0, cachedTokens: 0 },
  );

/**
 * Only windows of one lineage share blocks: a block's hash covers the lineage's salt. So the hashes of one lineage at a time are
 * enough.
 */
async function byLineage({ store }: Space, windows: readonly WindowSummary[]): Promise<WindowSummary[][]> {
  const groups = new Map<string, WindowSummary[]>();
  for (const window of windows) {
    const lineage = await familyIdOf(store, window.name);
    if (lineage === null) continue;
    groups.set(lineage, [...(groups.get(lineage) ?? []), window]);
  }
  return [...groups.values()];
}

class KvSums {
  readonly ofWindow = new Map<string, NonNullable<WindowUsage['kv']>>();
  windowBytes = 0;
  pinnedBytes = 0;
  readonly #present: ReadonlyMap<string, number>;
  readonly #read: (window: WindowSummary, kv: KvRecord) => void;

  /** @param read receives each record that it reads. */
  constructor(present: ReadonlyMap<string, number>, read: (window: WindowSummary, kv: KvRecord) => void) {
    this.#present = present;
    this.#read = read;
  }

  async add({ store, kvOfOtherEngines }: Space, windows: readonly WindowSummary[], signal: AbortSignal): Promise<void> {
    const read: { readonly window: WindowSummary; readonly kv: KvRecord }[] = [];
    const holders = new Map<string, number>();
    for (const window of windows) {
      signal.throwIfAborted();
      const kv = await kvOf(store, window.name);
      if (!kv || kv.kvBytes === null) continue;
      this.#read(window, kv);
      read.push({ window, kv });
      for (const { hash } of kv.blocks) holders.set(hash, (holders.get(hash) ?? 0) + 1);
    }
    const counted = new Set<string>();
    const pinned = new Set<string>();
    for (const { window, kv } of read) {
      const isOurs = kv.engineKind === 'embedded';
      let [uniqueBytes, sharedBytes, missingBlocks] = [0, 0, 0];
      for (const block of kv.blocks) {
        const { hash, sizeBytes } = block;
        const presentBytes = isOurs ? this.#present.get(hash) : undefined;
        const isMissing = isOurs ? presentBytes === undefined : kvOfOtherEngines.isGone(block);
        const bytes = presentBytes ?? (isMissing ? 0 : sizeBytes);
        if (isMissing) missingBlocks++;
        if ((holders.get(hash) ?? 0) > 1) sharedBytes += bytes;
        else uniqueBytes += bytes;
        if (!counted.has(hash)) {
          counted.add(hash);
          if (presentBytes !== undefined) this.windowBytes += bytes;
        }
        if (window.pinned && presentBytes !== undefined && !pinned.has(hash)) {
          pinned.add(hash);
          this.pinnedBytes += bytes;
        }
      }
      const bytes = uniqueBytes + sharedBytes;
      const measured = isOurs ? 'now' : 'recorded';
      this.ofWindow.set(window.name, { bytes, uniqueBytes, sharedBytes, missingBlocks, measured });
    }
  }
}
