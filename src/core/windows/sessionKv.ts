import { blockHashChain } from '../../base/kvBlockHash.ts';
import { nullOn, toCwmError } from '../../protocol/errors.ts';
import type { LineageId, SessionId } from '../../protocol/ids.ts';
import type { Session } from '../../protocol/schemas/session.ts';
import type { Unreached } from '../../protocol/schemas/space.ts';
import type { CoreContext } from '../context.ts';
import type { Engine, KvContext } from '../ports/engine.ts';
import { familyOf, saltOf } from '../ports/lineages.ts';
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
}

export interface ForgottenSessionKv {
  readonly bytesFreed: number;
  readonly unreached: readonly Unreached[];
}

/** How long one engine may take. */
const engineMs = 10_000;

/** Finds out what KV a session has, while its records say so: each branch, and its checkpoint. What is damaged is left out. */
export async function kvOfSession({ store }: CoreContext, session: Session): Promise<SessionKv> {
  const { id, lineage } = session;
  const checkpoint = await nullOn(store.checkpoints.get(id), 'Corrupted');
  const of = await nullOn(store.lineages.get(lineage), 'Corrupted');
  const nothing = { session: id, lineage, targets: [] };
  if (!of) return nothing;
  const naming = checkpoint && { hashProfile: checkpoint.kv.hashProfile, blockTokens: checkpoint.kv.blockTokens };
  const targets: Target[] = [];
  const add = async (sha256: string, engine: string, kept: Pick<Target, 'hashes'> & { handle: string | null }) => {
    const ids = await nullOn(store.sessions.loadTokens(id, sha256), 'Corrupted', 'SessionNotFound');
    if (!ids) return;
    const context = { ids, salt: saltOf(of), handle: kept.handle };
    targets.push({
      engine,
      context,
      hashes: kept.hashes,
      naming: checkpoint?.manifest.engine === engine ? naming : null,
    });
  };
  if (checkpoint) {
    const { manifest, kv } = checkpoint;
    await add(manifest.tokens.sha256, manifest.engine, {
      hashes: kv.blocks.map(({ hash }) => hash),
      handle: kv.handle,
    });
  }
  const contexts = [session.tokens, ...Object.values(session.branches).map(({ tokens }) => tokens)];
  const hashes = new Set(contexts.flatMap((tokens) => tokens?.sha256 ?? []));
  if (checkpoint && checkpoint.manifest.engine === session.engine) hashes.delete(checkpoint.manifest.tokens.sha256);
  for (const sha256 of hashes) await add(sha256, session.engine, { hashes: [], handle: null });
  return { session: id, lineage, targets };
}

/**
 * Deletes that KV in every tier that can be reached, and says what could not be. What windows, other sessions or running operations need stays.
 * Call it behind the deletion of the records, and where nobody waits for a lock: engines may be slow.
 */
export async function forgetSessionKv(
  core: CoreContext,
  { session, lineage, targets }: SessionKv,
  signal: AbortSignal,
): Promise<ForgottenSessionKv> {
  let bytesFreed = 0;
  const unreached = new Map<string, string>();
  for (const target of targets) {
    if (unreached.has(target.engine)) continue;
    const inTime = AbortSignal.any([signal, AbortSignal.timeout(engineMs)]);
    try {
      const { bytes, why } = await forgetTarget(core, target, { session, lineage }, inTime);
      bytesFreed += bytes;
      if (why !== null) unreached.set(target.engine, why);
    } catch (error) {
      signal.throwIfAborted();
      const failure = toCwmError(error);
      const isLate = failure.name === 'Cancelled' || inTime.aborted;
      unreached.set(target.engine, isLate ? 'It did not answer in time.' : failure.message);
    }
  }
  return { bytesFreed, unreached: [...unreached].map(([engine, why]) => ({ engine, why })) };
}

async function forgetTarget(
  core: CoreContext,
  target: Target,
  of: Pick<SessionKv, 'session' | 'lineage'>,
  signal: AbortSignal,
): Promise<{ readonly bytes: number; readonly why: string | null }> {
  if (target.engine.startsWith('embedded') && target.naming?.hashProfile && target.naming.blockTokens)
    return { bytes: await forgetCached(core, target, of, signal), why: null };
  const engine = core.engines.get(target.engine);
  const located = await engine.locate(target.context, signal);
  if (!located.reachable) return { bytes: 0, why: located.why };
  const present = located.blocks.flatMap(({ hash, stat }) => (stat === null ? [] : [hash]));
  const naming = target.naming ?? (await namingOf(engine, signal));
  const free = await unneeded(core, { ...of, naming }, [...new Set([...target.hashes, ...present])], signal);
  const { handle } = target.context;
  const isFree = handle !== null && target.hashes.length > 0 && target.hashes.every((hash) => free.includes(hash));
  const bytes = await engine.forget({ hashes: free, handle: isFree ? handle : null, context: target.context }, signal);
  const after = await engine.locate(target.context, signal);
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
    const checkpoint = await store.checkpoints.get(other);
    if (!checkpoint || familyOf(checkpoint.manifest.lineage) !== family) continue;
    for (const { hash } of checkpoint.kv.blocks) held.add(hash);
  }
  return hashes.filter((hash) => !held.has(hash) && !space.inUse.isHeld(hash));
}
