import { CwmError, isEngineFailure } from '../../protocol/errors.ts';
import type { CoreContext } from '../context.ts';
import { saltOf } from '../ports/lineages.ts';
import { measure } from '../evidence/measure.ts';
import type { Measurement } from '../ports/engine.ts';
import type { Lineage } from '../ports/lineages.ts';
import type { FrozenContext } from '../evidence/frozenContext.ts';

export interface RebuiltKv {
  /** With the salt that it was computed under. */
  readonly lineage: Lineage;
  readonly measured: Measurement;
  readonly notes: readonly string[];
}

/**
 * No request can reach what was computed under the old salt; the context is computed again under the next one. Until the
 * window's KV is recorded again, its record says that this repair has not ended.
 *
 * @param left blocks of others, which stay where they are; null: none.
 */
export async function rebuildUnderNextSalt(
  core: CoreContext,
  { engine, ids, manifest, kv, slot, record, progress }: FrozenContext,
  { frozen, left }: { readonly frozen: Lineage; readonly left: ReadonlySet<string> | null },
  signal: AbortSignal,
): Promise<RebuiltKv> {
  progress('Rebuilding from the token ids');
  const lineage = await core.store.lineages.advance(manifest.lineage, frozen.generation);
  await record.save({ ...kv, unfinishedRepair: lineage.generation });
  const context = { ids, salt: saltOf(frozen) };
  const notes: string[] = [];
  try {
    const hashes = kv.blocks.map(({ hash }) => hash).filter((hash) => !left?.has(hash));
    await engine.forget({ hashes, handle: kv.handle, context }, signal);
  } catch (error) {
    // The old KV only takes up space now. An engine that is gone altogether fails the next request, and with that the thaw.
    if (signal.aborted || !(error instanceof CwmError && isEngineFailure(error))) throw error;
    notes.push(`The KV that was given up could not be deleted everywhere: ${error.message} (${error.code})`);
  }
  const next = { ids, salt: saltOf(lineage), handle: null, slot };
  const measured = await measure(engine, next, kv.canaryTokens, signal);
  return { lineage, measured, notes };
}
