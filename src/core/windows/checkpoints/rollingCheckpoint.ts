import type { SessionId } from '../../../protocol/ids.ts';
import type { Checkpoint } from '../../../protocol/schemas/checkpoint.ts';
import type { Receipt } from '../../../protocol/schemas/receipt.ts';
import type { ContextTokens, Session } from '../../../protocol/schemas/session.ts';
import type { CoreContext } from '../../context.ts';
import { familyOf, saltOf } from '../../ports/lineages.ts';
import { nullOn } from '../../../protocol/errors.ts';
import { isOpen } from '../../lifecycle.ts';
import { silent } from '../../ports/reporter.ts';
import type { Hold } from '../../space/blocksInUse.ts';
import { isAtRest } from '../../turns/machine.ts';
import { checkpointName } from './checkpointPolicy.ts';
import { isHandleNamed } from '../handles.ts';
import { withSummary } from '../receipts.ts';
import { sealSession, type SealedSession } from '../sealSession.ts';

/** How long an engine may take to delete a file that nobody needs any more. */
const forgetMs = 10_000;

export type SessionWithContext = Session & { readonly tokens: ContextTokens };

/** Whether a checkpoint could be made of it now. */
export const hasCheckpointable = (session: Session): session is SessionWithContext =>
  isOpen(session) && isAtRest(session) && session.tokens !== null && session.tokens.count > 0;

/** Whether the session has gone on since its checkpoint. */
export const isBehind = (checkpoint: Checkpoint | null, { tokens, engine }: SessionWithContext): boolean =>
  checkpoint?.manifest.tokens.sha256 !== tokens.sha256 || checkpoint.manifest.engine !== engine;

/**
 * Replaces a session's rolling checkpoint. The session goes on. The engine stores the KV first and the record follows, so that the earlier
 * checkpoint stays whole until this one is.
 *
 * @returns null when there is nothing to make it of.
 * @throws CwmError StorageFull (nothing was written), ModelMismatch, Cancelled, and those of the engine and the store.
 */
export async function makeCheckpoint(core: CoreContext, id: SessionId, signal: AbortSignal): Promise<Receipt | null> {
  const startedMs = core.clock.elapsedMs();
  return core.turns.run(
    id,
    async () => {
      const session = await core.store.sessions.get(id);
      if (!session || !hasCheckpointable(session)) return null;
      return core.kvRecords.run(
        familyOf(session.lineage),
        () => core.space.inUse.during((hold) => replaceCheckpoint(core, session, { hold, startedMs }, signal)),
        signal,
      );
    },
    signal,
  );
}

async function replaceCheckpoint(
  core: CoreContext,
  session: SessionWithContext,
  { hold, startedMs }: { readonly hold: Hold; readonly startedMs: number },
  signal: AbortSignal,
): Promise<Receipt> {
  const { id, tokens, engine } = session;
  const doing = `To make a checkpoint of session "${id}"`;
  const before = await core.store.checkpoints.get(id);
  const earlier = before?.manifest.engine === engine ? before.kv : undefined;
  const { progress } = silent;
  const toSeal = { session, tokens, engineSpec: engine, doing, progress, hold, earlier, isUnasked: true };
  const sealed = await sealSession(core, toSeal, signal);
  const ms = core.clock.elapsedMs() - startedMs;
  const receipt = await putCheckpoint(core, { ...sealed, before, ms });
  if (before) await forgetReplaced(core, before, sealed.kv.handle);
  return receipt;
}

/** Records KV that an engine has stored as a session's checkpoint. @param before the one that it replaces. @throws CwmError of the store. */
export async function putCheckpoint(
  core: CoreContext,
  {
    manifest,
    kv,
    fields,
    before,
    ms,
  }: Pick<SealedSession, 'manifest' | 'kv' | 'fields'> & { readonly before: Checkpoint | null; readonly ms: number },
): Promise<Receipt> {
  const { session, tokens, engine } = manifest;
  const at = core.clock.now().toISOString();
  const { namePattern, tags } = core.checkpoints.policy;
  const count = (before?.count ?? 0) + 1;
  const name = checkpointName(namePattern, { session, at, count });
  const receipt = withSummary({
    operation: 'checkpoint',
    session,
    window: name,
    ofCheckpoint: true,
    ...fields,
    ms,
    expectedPrefillMs: core.prefill.expectedMs(engine, tokens.count),
    at,
  });
  const named = { name, description: '', tags: [...tags], createdAt: at };
  const fixed = { formatVersion: 1, mode: 'checkpoint' } as const;
  await core.store.checkpoints.put({ manifest: { ...fixed, ...named, ...manifest }, kv, receipt, count });
  return receipt;
}

/** Deletes a session's checkpoint, and the file that holds its whole context where the engine has one. @returns whether it had one. */
export async function dropCheckpoint(core: CoreContext, id: SessionId, signal: AbortSignal): Promise<boolean> {
  await core.background.stop(id);
  return core.turns.run(
    id,
    async () => {
      const checkpoint = await core.store.checkpoints.get(id);
      if (!checkpoint) return false;
      await core.store.checkpoints.delete(id);
      await forgetReplaced(core, checkpoint, null);
      return true;
    },
    signal,
  );
}

/**
 * Deletes the file of a context that an engine stores as a whole, unless a window has it. Blocks stay: the session's own next blocks build on
 * them, and a budget evicts them first. An engine that cannot be reached keeps its file as cache.
 */
export async function forgetReplaced(
  core: CoreContext,
  { manifest, kv }: Checkpoint,
  handle: string | null,
): Promise<void> {
  if (kv.handle === null || kv.handle === handle) return;
  const hashes = kv.blocks.map(({ hash }) => hash);
  if ((await core.store.blocks.recordsOfLineage(manifest.lineage, hashes)).size > 0) return;
  if (await isHandleNamed(core.store, manifest.lineage, kv.handle)) return;
  try {
    // Engines that store KV by its content release nothing without it.
    const ids = await nullOn(core.store.sessions.loadTokens(manifest.session, manifest.tokens.sha256), 'Corrupted');
    const lineage = await core.store.lineages.get(manifest.lineage);
    const context = ids && { ids, salt: saltOf({ ...lineage, generation: kv.saltGeneration }) };
    const target = { hashes, handle: kv.handle, ...(context && { context }) };
    await core.engines.get(manifest.engine).forget(target, AbortSignal.timeout(forgetMs));
  } catch {
    // The file is only cache, and the checkpoint does not depend on it any more.
  }
}
