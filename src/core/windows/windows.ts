import { sha256Hex } from '../../base/hash.ts';
import type { RouteInput, RouteOutput } from '../../protocol/api.ts';
import { CwmError, isCwmError, isEngineFailure, nullOn, toCwmError } from '../../protocol/errors.ts';
import { parseProjectUri, parseSessionId, parseTags, parseWindowName, type WindowName } from '../../protocol/ids.ts';
import type { KvRecord, WindowManifest } from '../../protocol/schemas/window.ts';
import { windowSummary } from '../../protocol/schemas/windowSummary.ts';
import type { CoreContext } from '../context.ts';
import { isOpen } from '../lifecycle.ts';
import { saltOf } from '../ports/lineages.ts';
import { parseInstant } from '../../protocol/schemas/instant.ts';
import { parsePage } from '../../protocol/paging.ts';
import type { Engine, ForgottenKv } from '../ports/engine.ts';
import { sessionTokens } from '../sessionTokens.ts';

/** Filters, sorts and pages windows (S0-09). @throws CwmError InvalidParameter for a limit outside 1–100 or an invalid date. */
export async function listWindows(
  core: CoreContext,
  input: RouteInput<'listWindows'>,
): Promise<RouteOutput<'listWindows'>> {
  const { limit, offset } = parsePage(input, 20);
  const { items, total } = await core.store.windows.list({
    ...(input.session !== undefined && { session: parseSessionId(input.session) }),
    ...(input.project !== undefined && { project: parseProjectUri(input.project) }),
    ...(input.model !== undefined && { model: input.model }),
    ...(input.tags !== undefined && { tags: parseTags(input.tags.split(',').filter((tag) => tag.trim() !== '')) }),
    ...(input.search !== undefined && { search: input.search }),
    ...(input.createdAfter !== undefined && { createdAfter: parseInstant(input.createdAfter, 'createdAfter') }),
    ...(input.createdBefore !== undefined && { createdBefore: parseInstant(input.createdBefore, 'createdBefore') }),
    sortBy: input.sortBy ?? 'createdAt',
    order: input.order ?? 'desc',
    limit,
    offset,
  });
  return { items: [...items], total, hasMore: offset + items.length < total };
}

/** @throws CwmError InvalidWindowName, WindowNotFound. */
export async function getWindow(core: CoreContext, input: RouteInput<'getWindow'>): Promise<RouteOutput<'getWindow'>> {
  const name = parseWindowName(input.window);
  const manifest = await requireWindow(core, name);
  // A list of blocks may be a hundred times as long as everything else.
  const loading: Promise<Omit<KvRecord, 'blocks'> & Partial<KvRecord>> =
    input.blocks === true ? core.store.windows.loadKv(name) : core.store.windows.loadKvHead(name);
  const [{ blocks, ...kv }, receipts, session, isPinned, lineageWindows, lineage] = await Promise.all([
    loading,
    core.store.receipts.list(name),
    nullOn(core.store.sessions.get(manifest.session), 'Corrupted'),
    core.store.windows.isPinned(name),
    ancestorsOf(core, manifest),
    nullOn(core.store.lineages.get(manifest.lineage), 'Corrupted'),
  ]);
  const summary = windowSummary({ manifest, kvBytes: kv.kvBytes, receipts, isPinned });
  return {
    manifest,
    kv,
    // The salt itself would let other clients of the model server reach the KV.
    saltHash: lineage && sha256Hex(saltOf({ ...lineage, generation: kv.saltGeneration })).slice(0, 16),
    // The manifest says where it was made.
    summary: session ? { ...summary, project: session.project } : summary,
    lineageWindows,
    receipts,
    ...(blocks && {
      blocks: blocks.map(({ hash, sizeBytes, checksum }) => ({ hash, sizeBytes, checksum })),
    }),
  };
}

async function ancestorsOf(core: CoreContext, manifest: WindowManifest): Promise<WindowName[]> {
  const names = [manifest.name];
  let parent = manifest.parentWindow;
  // A parent may have been deleted; a circle can only come from a damaged record.
  while (parent !== null && !names.includes(parent)) {
    names.unshift(parent);
    parent = (await core.store.windows.get(parent))?.parentWindow ?? null;
  }
  return names;
}

/**
 * Deletes a window and the KV blocks that only it needs: blocks of other windows stay, and so do those that its open session uses. When
 * the engine is out of reach, or the KV record is damaged, the window is deleted and its blocks stay behind as cache.
 *
 * @throws CwmError InvalidWindowName, WindowNotFound.
 */
export async function deleteWindow(
  core: CoreContext,
  input: RouteInput<'deleteWindow'>,
  signal: AbortSignal,
): Promise<RouteOutput<'deleteWindow'>> {
  return core.space.inUse.collecting(() => deleteWithKv(core, input, signal));
}

async function deleteWithKv(
  core: CoreContext,
  input: RouteInput<'deleteWindow'>,
  signal: AbortSignal,
): Promise<RouteOutput<'deleteWindow'>> {
  const name = parseWindowName(input.window);
  const kept = await keptFor(core, name, signal);
  await core.store.windows.delete(name);
  if (kept === null) return { window: name, blocksDeleted: 0, bytesFreed: 0, blocksKept: 0 };

  const { engine, hashes, held, handle: wholeHandle, ...made } = kept;
  const unneeded = input.keepBlocks ? [] : hashes.filter((hash) => !held.has(hash));
  const handle = held.size === 0 && !input.keepBlocks ? wholeHandle : null;
  let blocksDeleted = 0;
  const blocks = unneeded.map((hash) => ({ hash }));
  const bytesFreed = await core.space.inUse.delete(blocks, async (unheld) => {
    const free = unheld.map(({ hash }) => hash);
    const freeHandle = free.length === unneeded.length ? handle : null;
    const bytes = await forgetIfReachable(engine, { hashes: free, handle: freeHandle, ...made }, signal);
    if (bytes !== null) blocksDeleted = free.length;
    return bytes ?? 0;
  });
  return { window: name, blocksDeleted, bytesFreed, blocksKept: hashes.length - blocksDeleted };
}

interface KeptKv extends Pick<ForgottenKv, 'context'> {
  readonly engine: Engine;
  readonly hashes: readonly string[];
  readonly handle: string | null;
  /** The blocks that another window or a session needs. */
  readonly held: ReadonlySet<string>;
}

/** The KV that the engine stores for the window, and which of it others need; null when a record about it is damaged. */
const keptFor = (core: CoreContext, name: WindowName, signal: AbortSignal): Promise<KeptKv | null> =>
  nullOn(readKeptFor(core, name, signal), 'Corrupted');

async function readKeptFor(core: CoreContext, name: WindowName, signal: AbortSignal): Promise<KeptKv> {
  const manifest = await requireWindow(core, name);
  const kv = await core.store.windows.loadKv(name);
  const hashes = kv.blocks.map((block) => block.hash);
  const engine = core.engines.get(manifest.engine);
  // The handle alone names the KV of a window whose blocks were never seen.
  const handles = kv.handle === null ? [] : [kv.handle];
  const held = new Set(await core.store.blocks.heldByOthers([...hashes, ...handles], name));
  for (const hash of await blocksOfLiveSession(core, manifest, engine, signal)) held.add(hash);
  const named = new Set(await namedByCheckpoint(core, manifest));
  for (const own of [...hashes, ...handles]) if (named.has(own)) held.add(own);
  for (const hash of hashes) if (core.space.inUse.isHeld(hash)) held.add(hash);
  return { engine, hashes, handle: kv.handle, held, ...(await madeOf(core, manifest, kv)) };
}

/** The KV of the window that its session's rolling checkpoint needs as well. */
async function namedByCheckpoint(core: CoreContext, { session }: WindowManifest): Promise<readonly string[]> {
  const kv = (await core.store.checkpoints.get(session))?.kv;
  return kv ? [...kv.blocks.map(({ hash }) => hash), ...(kv.handle === null ? [] : [kv.handle])] : [];
}

/** As {@link deleteWindow}. @returns false when another client has deleted it already. */
export async function deleteIfThere(core: CoreContext, window: WindowName, signal: AbortSignal): Promise<boolean> {
  return (await nullOn(deleteWindow(core, { window }, signal), 'WindowNotFound')) !== null;
}

async function forgetIfReachable(engine: Engine, target: ForgottenKv, signal: AbortSignal): Promise<number | null> {
  if (target.hashes.length === 0 && target.handle === null) return 0;
  try {
    return await engine.forget(target, signal);
  } catch (error) {
    if (isEngineFailure(toCwmError(error))) return null;
    throw error;
  }
}

/** The context that engines with handles find the window's KV by; empty when it cannot be read, which does not stop the deletion. */
async function madeOf(
  core: CoreContext,
  { name, lineage }: WindowManifest,
  { handle, saltGeneration }: KvRecord,
): Promise<Pick<ForgottenKv, 'context'>> {
  if (handle === null) return {};
  try {
    const ids = await core.store.windows.loadTokens(name);
    const of = await core.store.lineages.get(lineage);
    return { context: { ids, salt: saltOf({ ...of, generation: saltGeneration }) } };
  } catch (error) {
    if (isCwmError(error, 'Corrupted')) return {};
    throw error;
  }
}

/** Blocks that the window's own session still uses. */
async function blocksOfLiveSession(
  core: CoreContext,
  manifest: WindowManifest,
  engine: Engine,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const found = await sessionTokens(core.store, manifest.session, isOpen);
  if (!found) return [];
  const { session, ids } = found;
  const lineage = await core.store.lineages.get(session.lineage);
  try {
    const location = await engine.locate({ ids, salt: saltOf(lineage), handle: null }, signal);
    return location.reachable ? location.blocks.map((block) => block.hash) : [];
  } catch (error) {
    if (isCwmError(error, 'EngineUnavailable', 'EngineTimeout')) return [];
    throw error;
  }
}

export async function requireWindow(core: CoreContext, name: WindowName): Promise<WindowManifest> {
  const manifest = await core.store.windows.get(name);
  if (!manifest) throw new CwmError('WindowNotFound', `There is no window "${name}".`);
  return manifest;
}
