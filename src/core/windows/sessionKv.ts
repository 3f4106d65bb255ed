import { blockHashChain } from '../../base/kvBlockHash.ts';
import { unlessAborted } from '../../base/unlessAborted.ts';
import { nullOn, toCwmError } from '../../protocol/errors.ts';
import type { LineageId, SessionId } from '../../protocol/ids.ts';
import type { Session } from '../../protocol/schemas/session.ts';
import type { Unreached } from '../../protocol/schemas/space.ts';
import type { CoreContext } from '../context.ts';
import type { Engine, KvContext } from '../ports/engine.ts';
import { familyOf, saltOf } from '../ports/lineages.ts';
import type { Store } from '../ports/store.ts';
import { isHandleNamed } from './handles.ts';
import { blocksOfLiveSessions, type BlockNaming } from '../space/liveBlocks.ts';

/** One context of a session whose KV an engine may have. */
interface Target {
  readonly engine: string;
  readonly context: KvContext;
  /** Of its rolling checkpoint. Default: none. */
  readonly hashes: readonly string[];
  readonly naming: BlockNaming | null;
}

export interface SessionKv {
  readonly session: SessionId;
  readonly lineage: LineageId;
  readonly targets: readonly Target[];
  /** What cannot be looked for, and why. */
  readonly unseen: readonly Unreached[];
}

export interface ForgottenSessionKv {
  readonly bytesFreed: number;
  readonly unreached: readonly Unreached[];
}

/** How long the engines may take, which are asked at once. */
const enginesMs = 10_000;

/**
 * Finds out what KV a session has, while its records say so: its checkpoint, and every prompt whose token ids are still stored, under each salt that it
 * had. What is damaged is left out.
 */
export async function kvOfSession({ store }: CoreContext, session: Session): Promise<SessionKv> {
  const { id, lineage } = session;
  const checkpoint = await nullOn(store.checkpoints.get(id), 'Corrupted');
  const of = await nullOn(store.lineages.get(lineage), 'Corrupted');
  if (!of) return { session: id, lineage, targets: [], unseen: [] };
  const namings = new Map<string, BlockNaming | null>();
  if (checkpoint) namings.set(checkpoint.manifest.engine, checkpoint.kv);
  const targets: Target[] = [];
  const add = async (
    sha256: string,
    engine: string,
    kept: Pick<Target, 'hashes'> & { readonly handle: string | null; readonly generation: number },
  ) => {
    const ids = await nullOn(store.sessions.loadTokens(id, sha256), 'Corrupted', 'SessionNotFound');
    if (!ids || ids.length === 0) return;
    const context = { ids, salt: saltOf({ ...of, generation: kept.generation }), handle: kept.handle };
    let naming = namings.get(engine);
    if (naming === undefined)
      namings.set(engine, (naming = isEmbedded(engine) ? await recordedNaming(store, engine) : null));
    targets.push({ engine, context, hashes: kept.hashes, naming });
  };
  if (checkpoint) {
    const { manifest, kv } = checkpoint;
    await add(manifest.tokens.sha256, manifest.engine, {
      hashes: kv.blocks.map(({ hash }) => hash),
      handle: kv.handle,
      generation: kv.saltGeneration,
    });
  }
  const contexts = [session.tokens, ...Object.values(session.branches).map(({ tokens }) => tokens)];
  const stored = (await nullOn(store.sessions.storedTokens(id), 'Corrupted', 'SessionNotFound')) ?? [];
  const lists = new Set([...stored, ...contexts.flatMap((tokens) => tokens?.sha256 ?? [])]);
  const own = checkpoint?.manifest.engine === session.engine ? checkpoint : null;
  for (let generation = of.generation; generation >= 0; generation--) {
    for (const sha256 of lists) {
      const isCheckpoint = own?.manifest.tokens.sha256 === sha256 && own.kv.saltGeneration === generation;
      if (!isCheckpoint) await add(sha256, session.engine, { hashes: [], handle: null, generation });
      // Which of them computed this prompt is not recorded.
      for (const engine of session.formerEngines ?? [])
        await add(sha256, engine, { hashes: [], handle: null, generation });
    }
  }
  const unseen = contexts.some((tokens) => tokens?.media) ? [{ engine: session.engine, why: picturesWhy }] : [];
  return { session: id, lineage, targets, unseen };
}

const isEmbedded = (engine: string): boolean => engine.startsWith('embedded');

const picturesWhy = 'No token ids are stored of prompts with pictures, so that their KV cannot be looked for.';

/** How an engine names its blocks, as a checkpoint or a window recorded it: so that it need not be started to be asked. */
async function recordedNaming(store: Store, engine: string): Promise<BlockNaming | null> {
  for (const id of await store.sessions.ids()) {
    const checkpoint = await nullOn(store.checkpoints.get(id), 'Corrupted');
    if (checkpoint?.manifest.engine === engine && checkpoint.kv.hashProfile) return checkpoint.kv;
  }
  for (let offset = 0; ;) {
    const { items, total } = await store.windows.list({ sortBy: 'createdAt', order: 'desc', limit: 100, offset });
    offset += items.length;
    for (const { name, engine: of } of items) {
      const kv = of === engine ? await nullOn(store.windows.loadKv(name), 'Corrupted', 'WindowNotFound') : null;
      if (kv?.hashProfile) return kv;
    }
    if (items.length === 0 || offset >= total) return null;
  }
}

/**
 * Deletes that KV in every tier that can be reached, and says what could not be. What windows, other sessions or running operations need stays.
 * Call it behind the deletion of the records, and where nobody waits for a lock: engines may be slow.
 */
export async function forgetSessionKv(
  core: CoreContext,
  { session, lineage, targets, unseen }: SessionKv,
  signal: AbortSignal,
): Promise<ForgottenSessionKv> {
  const unreached = new Map<string, string>();
  const byEngine = Map.groupBy(targets, ({ engine }) => engine);
  const limit = AbortSignal.timeout(enginesMs);
  const freed = await Promise.all(
    [...byEngine].map(async ([engine, own]) => {
      const { bytes, why } = await forgetOnEngine(core, own, { session, lineage }, { signal, limit });
      if (why !== null) unreached.set(engine, why);
      return bytes;
    }),
  );
  for (const { engine, why } of unseen) if (!unreached.has(engine)) unreached.set(engine, why);
  return {
    bytesFreed: freed.reduce((sum, bytes) => sum + bytes, 0),
    unreached: [...unreached].map(([engine, why]) => ({ engine, why })),
  };
}

/** Deletes one engine's part, one context after the other, until one of them cannot be reached. Never rejects. */
async function forgetOnEngine(
  core: CoreContext,
  targets: readonly Target[],
  of: Pick<SessionKv, 'session' | 'lineage'>,
  { signal, limit }: { readonly signal: AbortSignal; readonly limit: AbortSignal },
): Promise<{ readonly bytes: number; readonly why: string | null }> {
  const inTime = AbortSignal.any([signal, limit]);
  let bytes = 0;
  for (const target of targets) {
    try {
      const forgetting = core.space.inUse.collecting(() => forgetTarget(core, target, of, inTime));
      // An engine that heeds no signal must not hold the answer up.
      const forgot = await unlessAborted(forgetting, inTime);
      bytes += forgot.bytes;
      if (forgot.why !== null) return { bytes, why: forgot.why };
    } catch (error) {
      // The session is gone by now: a client that cancels must hear what is left of it.
      const failure = toCwmError(error);
      if (signal.aborted) return { bytes, why: 'The deletion was cancelled before it had answered.' };
      return {
        bytes,
        why: limit.aborted || failure.name === 'Cancelled' ? 'It did not answer in time.' : failure.message,
      };
    }
  }
  return { bytes, why: null };
}

async function forgetTarget(
  core: CoreContext,
  target: Target,
  of: Pick<SessionKv, 'session' | 'lineage'>,
  signal: AbortSignal,
): Promise<{ readonly bytes: number; readonly why: string | null }> {
  if (isEmbedded(target.engine) && target.naming?.hashProfile && target.naming.blockTokens)
    return { bytes: await forgetCached(core, target, of, signal), why: null };
  const engine = core.engines.get(target.engine);
  const located = await engine.locate(target.context, signal);
  const present = located.reachable ? located.blocks.flatMap(({ hash, stat }) => (stat === null ? [] : [hash])) : [];
  const naming = target.naming ?? (await namingOf(engine, signal));
  const free = await unneeded(core, { ...of, naming }, [...new Set([...target.hashes, ...present])], signal);
  const { context } = target;
  const isFree =
    context.handle !== null &&
    target.hashes.every((hash) => free.includes(hash)) &&
    !(await isHandleNamed(core.store, of.lineage, context.handle));
  const forget = (unheld: readonly { readonly hash: string }[]): Promise<number> => {
    const hashes = unheld.map(({ hash }) => hash);
    const handle = isFree && hashes.length === free.length ? context.handle : null;
    // Where the files are in sight, the engine is asked even without one: what it cannot do then is worth telling.
    return located.reachable || handle !== null
      ? engine.forget({ hashes, handle, context }, signal)
      : Promise.resolve(0);
  };
  const blocks = free.map((hash) => ({ hash }));
  const bytes = await core.space.inUse.delete(blocks, forget);
  // A handle alone names KV whose files are out of sight.
  if (!located.reachable) return { bytes, why: located.why };
  const after = await engine.locate(context, signal);
  const left = after.reachable ? after.blocks.filter(({ hash, stat }) => stat !== null && free.includes(hash)) : [];
  return { bytes, why: left.length === 0 ? null : `${left.length} of its files are still there.` };
}

/** The embedded engine need not run for it: its files are below the storage directory. */
async function forgetCached(
  core: CoreContext,
  { context, hashes, naming }: Target,
  of: Pick<SessionKv, 'session' | 'lineage'>,
  signal: AbortSignal,
): Promise<number> {
  const { hashProfile, blockTokens } = naming ?? {};
  const chain = hashProfile && blockTokens ? blockHashChain(hashProfile, context.ids, blockTokens, context.salt) : [];
  const free = new Set(await unneeded(core, { ...of, naming }, [...new Set([...hashes, ...chain])], signal));
  const { inUse, cache } = core.space;
  const blocks = (await cache.list(signal)).filter(({ hash }) => free.has(hash));
  return inUse.delete(blocks, (unheld) => cache.delete(unheld));
}

async function namingOf(engine: Engine, signal: AbortSignal): Promise<BlockNaming> {
  const { hashProfile, blockTokens } = await engine.describe(signal);
  return { hashProfile, blockTokens };
}

/** Of these blocks, those that no window, no other session and no running operation needs. */
async function unneeded(
  { store, space }: CoreContext,
  { session, lineage, naming }: Pick<SessionKv, 'session' | 'lineage'> & { readonly naming: BlockNaming | null },
  hashes: readonly string[],
  signal: AbortSignal,
): Promise<string[]> {
  const held = new Set((await store.blocks.recordsOfLineage(lineage, hashes)).keys());
  const family = familyOf(lineage);
  const namings = new Map(naming ? [[family, [naming]] as const] : []);
  for (const hash of await blocksOfLiveSessions(store, namings, signal)) held.add(hash);
  for (const other of await store.sessions.ids()) {
    signal.throwIfAborted();
    if (other === session) continue;
    // A damaged one brings no KV back.
    const checkpoint = await nullOn(store.checkpoints.get(other), 'Corrupted');
    if (!checkpoint || familyOf(checkpoint.manifest.lineage) !== family) continue;
    for (const { hash } of checkpoint.kv.blocks) held.add(hash);
  }
  return hashes.filter((hash) => !held.has(hash) && !space.inUse.isHeld(hash));
}
