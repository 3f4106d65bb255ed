import type { ParsedInput, RouteOutput } from '../../protocol/api.ts';
import { CwmError, nullOn } from '../../protocol/errors.ts';
import type { WindowSummary } from '../../protocol/schemas/window.ts';
import { totalBytes } from '../evidence/blocks.ts';
import type { CoreContext } from '../context.ts';
import type { CachedBlock } from '../ports/blockCache.ts';
import type { Store } from '../ports/store.ts';
import { deleteIfThere } from './windows.ts';
import { blocksOfLiveSessions, type BlockNaming } from '../space/liveBlocks.ts';
import { blocksOf, kvOf, lastUsedAt, familyIdOf, windowUses, type WindowUse } from '../space/windowUses.ts';

interface PlannedWindow {
  readonly window: WindowSummary;
  readonly recordBytes: number;
  readonly hashes: readonly string[];
  /** Its KV is on another model server than the embedded engine. */
  readonly isElsewhere: boolean;
}

interface PrunePlan {
  readonly windows: readonly PlannedWindow[];
  /** Files of the embedded engine that only these windows need. */
  readonly blocks: readonly CachedBlock[];
}

/**
 * Moves windows that were not used for long to the trash, and deletes the KV that only they used. A pinned window, or one in use,
 * stays. With `dryRun` it changes nothing and answers what it would do. Other model servers are asked to delete their KV, as when a
 * window is deleted; the bytes that this frees are not counted.
 *
 * @throws CwmError InvalidParameter when the input has no condition. An abort leaves the windows that it has not reached.
 */
export async function prune(
  core: CoreContext,
  input: ParsedInput<'prune'>,
  signal: AbortSignal,
): Promise<RouteOutput<'prune'>> {
  const { space } = core;
  const olderThanDays = atLeastZero(input.olderThanDays, 'olderThanDays');
  const keep = atLeastZero(input.keep, 'keep');
  if (keep !== undefined && !Number.isInteger(keep))
    throw new CwmError('InvalidParameter', '"keep" must be a whole number.');
  if (olderThanDays === undefined && keep === undefined) {
    throw new CwmError(
      'InvalidParameter',
      'Name a condition: a number of days without use, a number of windows to spare, or both.',
    );
  }
  return space.lock.run(
    () =>
      space.inUse.collecting(async () => {
        const plan = await makePlan(core, { olderThanDays, keep }, signal);
        return input.dryRun ? answer(plan, true, totalBytes(plan.blocks)) : carryOut(core, plan, signal);
      }),
    signal,
  );
}

function atLeastZero(value: number | undefined, name: string): number | undefined {
  if (value === undefined || (Number.isFinite(value) && value >= 0)) return value;
  throw new CwmError('InvalidParameter', `"${name}" must be a number, 0 or more.`);
}

interface Which {
  readonly olderThanDays: number | undefined;
  readonly keep: number | undefined;
}

async function makePlan(core: CoreContext, which: Which, signal: AbortSignal): Promise<PrunePlan> {
  const { store, space } = core;
  const all = await windowUses(store);
  const { windowBytes } = await store.space.measure(signal);
  const windows: PlannedWindow[] = [];
  for (const window of chosen(core, all, which)) {
    signal.throwIfAborted();
    const kv = await kvOf(store, window.name);
    const hashes = kv?.blocks.map(({ hash }) => hash) ?? [];
    if (hashes.some((hash) => space.inUse.isHeld(hash))) continue;
    const isElsewhere = kv !== null && kv.engineKind !== 'embedded';
    windows.push({ window, recordBytes: windowBytes.get(window.name) ?? 0, hashes, isElsewhere });
  }
  const unneeded = new Set(windows.flatMap(({ hashes }) => hashes));
  if (unneeded.size === 0) return { windows, blocks: [] };

  const namings = await namingsOf(store, windows);
  const going = new Set<string>(windows.map(({ window }) => window.name));
  for (const { name } of all) {
    signal.throwIfAborted();
    if (going.has(name)) continue;
    const lineage = await familyIdOf(store, name);
    // Only windows of one lineage share blocks. A window whose lineage is unreadable may share blocks with any.
    if (lineage !== null && !namings.has(lineage)) continue;
    for (const { hash } of await blocksOf(store, name)) unneeded.delete(hash);
  }
  for (const hash of await blocksOfLiveSessions(store, namings, signal)) unneeded.delete(hash);
  const blocks = unneeded.size === 0 ? [] : await space.cache.list(signal);
  return { windows, blocks: blocks.filter(({ hash }) => unneeded.has(hash)) };
}

/** The window that was unused longest comes first. */
function chosen({ clock }: CoreContext, all: readonly WindowUse[], { olderThanDays, keep }: Which): WindowSummary[] {
  // No window is older than 1970, and a date far before that cannot be written.
  const before = Math.max(clock.now().getTime() - (olderThanDays ?? 0) * dayMs, 0);
  const usedBefore = olderThanDays === undefined ? null : new Date(before).toISOString();
  return all
    .flatMap(({ window }) => window ?? [])
    .sort((a, b) => compare(lastUsedAt(b), lastUsedAt(a)) || compare(a.name, b.name))
    .slice(keep ?? 0)
    .filter((window) => !window.pinned && (usedBefore === null || lastUsedAt(window) <= usedBefore))
    .reverse();
}

const dayMs = 24 * 60 * 60 * 1000;

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

async function namingsOf(store: Store, windows: readonly PlannedWindow[]): Promise<Map<string, BlockNaming[]>> {
  const namings = new Map<string, BlockNaming[]>();
  for (const { window, hashes } of windows) {
    const name = window.name;
    const lineage = hashes.length === 0 ? null : await familyIdOf(store, name);
    if (lineage === null) continue;
    const kv = await kvOf(store, name);
    // Another client has deleted it.
    if (kv === null) continue;
    const { hashProfile, blockTokens } = kv;
    const known = namings.get(lineage) ?? [];
    namings.set(lineage, known);
    const isKnown = known.some((naming) => JSON.stringify(naming) === JSON.stringify({ hashProfile, blockTokens }));
    if (!isKnown) known.push({ hashProfile, blockTokens });
  }
  return namings;
}

async function carryOut(core: CoreContext, plan: PrunePlan, signal: AbortSignal): Promise<RouteOutput<'prune'>> {
  const { space } = core;
  const windows: PlannedWindow[] = [];
  const kept = new Set<string>();
  for (const planned of plan.windows) {
    signal.throwIfAborted();
    const isInUse = planned.hashes.some((hash) => space.inUse.isHeld(hash));
    if (!isInUse && (await deletePlanned(core, planned, signal))) windows.push(planned);
    else for (const hash of planned.hashes) kept.add(hash);
  }
  const blocks = plan.blocks.filter(({ hash }) => !kept.has(hash));
  const bytesFreed = await space.inUse.delete(blocks, (free) => space.cache.delete(free));
  return answer({ windows, blocks }, false, bytesFreed);
}

/** Deletes KV too only for a window on another model server: the plan has the blocks of the others. @returns false when it is gone already. */
async function deletePlanned(
  core: CoreContext,
  { window, isElsewhere }: PlannedWindow,
  signal: AbortSignal,
): Promise<boolean> {
  if (isElsewhere) return deleteIfThere(core, window.name, signal);
  return (
    (await nullOn(
      core.store.windows.delete(window.name).then(() => true),
      'WindowNotFound',
    )) !== null
  );
}

const answer = ({ windows, blocks }: PrunePlan, dryRun: boolean, bytesFreed: number): RouteOutput<'prune'> => ({
  dryRun,
  windows: windows.map(({ window, recordBytes }) => ({
    name: window.name,
    lastUsedAt: lastUsedAt(window),
    tokens: window.tokens,
    recordBytes,
  })),
  blocks: blocks.length,
  bytesFreed,
  bytesToTrash: windows.reduce((sum, { recordBytes }) => sum + recordBytes, 0),
  elsewhere: windows.filter(({ isElsewhere }) => isElsewhere).length,
});
