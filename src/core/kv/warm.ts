import type { ContentChecks, Repair, Verdict } from '../../protocol/schemas/receipt.ts';
import type { KvRecord } from '../../protocol/schemas/window.ts';
import { isExplainedByRounding } from '../evidence/canaryCheck.ts';
import type { CoreContext } from '../context.ts';
import { answersOtherwise, inspectKv, type Inspection } from '../evidence/inspectKv.ts';
import type { Measurement } from '../ports/engine.ts';
import type { Lineage } from '../ports/store.ts';
import { rebuildUnderNextSalt } from './rebuildKv.ts';
import { contentChecks } from '../evidence/contentChecks.ts';
import type { FrozenContext } from '../evidence/frozenContext.ts';
import { nothingRenewed, renewKv } from './renewKv.ts';
import { verdictOf } from '../evidence/reuseVerdict.ts';

/** What bringing a window's KV back came to. */
export interface Warmed {
  readonly verdict: Verdict;
  /** The request that the user's context rests on: after a repair, the one that rebuilt it. */
  readonly measured: Measurement;
  readonly content: ContentChecks;
  readonly repair: Repair;
  readonly kv: KvRecord;
  readonly kvBytesWritten: number | null;
  readonly notes: readonly string[];
}

/**
 * Brings the KV of a window back and proves what came back: inspects it, gives it up where it is not what was frozen, and records what
 * is there now. Only KV and its record change; an abort leaves the text untouched.
 */
export async function warm(core: CoreContext, request: FrozenContext, signal: AbortSignal): Promise<Warmed> {
  const { manifest, kv } = request;
  const frozenLineage = await lineageOf(core, request);
  const inspection = await inspectKv(core, request, frozenLineage, signal);
  const { verdict, measured, check, canary, restored, isInDoubt, isOff } = inspection;

  // Whatever the engine says of reuse, what answers otherwise than the frozen context must not be gone on from: other weights,
  // or damage that an engine does not show. Blocks after the frozen ones may be there as well.
  const isGivenUp = verdict === 'damaged' || isInDoubt || isOff;
  const rebuilt = isGivenUp ? await rebuildUnderNextSalt(core, request, frozenLineage, signal) : null;
  const isStillOff = rebuilt !== null && answersOtherwise(kv, rebuilt.measured);
  // Under a salt that nobody has used there is nothing to reuse, except where the engine heeds no salt.
  const isStillReused = (rebuilt?.measured.reuse.cachedTokens ?? 0) > 0;
  // Neither that KV, nor what an engine that a refused restore has damaged computes now, must become what the next thaw is held against.
  const isNoMeasure = isStillReused || (isStillOff && restored.outcome === 'rejected');
  const renewal = isNoMeasure
    ? nothingRenewed(kv)
    : await renewKv(
        core,
        {
          ...request,
          window: manifest.name,
          lineage: rebuilt?.lineage ?? frozenLineage,
          verdict: rebuilt ? 'rebuilt' : verdict,
          tier: measured?.reuse.tier ?? null,
          reusedTokens: rebuilt ? 0 : (measured?.reuse.cachedTokens ?? 0),
          check: rebuilt ? null : check,
          isCanaryOfKept: inspection.isCanaryExact && canary?.result === 'agreed' && kv.canaryTokens !== undefined,
          isContentConfirmed: inspection.isContentConfirmed,
        },
        signal,
      );
  const isRounding = rebuilt !== null && (isInDoubt || (!isStillOff && isRounded(request, inspection, renewal.kv)));
  const told =
    isRounding && canary?.result === 'disagreed' ? { ...canary, result: 'not-run' as const, why: roundingWhy } : canary;
  return {
    verdict: isRounding ? verdictOf(request, rebuilt.measured, null, told) : verdict,
    measured: rebuilt?.measured ?? (measured as Measurement),
    content: contentChecks(check, told, renewal.unreachableWhy ?? (kv.blocks.length === 0 ? noFilesThen : null)),
    repair: rebuilt && !isStillReused ? 'salt-advanced' : check && check.damaged.length > 0 ? 'blocks-deleted' : 'none',
    kv: renewal.kv,
    kvBytesWritten: renewal.kvBytesWritten,
    notes: [
      ...restored.notes,
      ...renewal.notes,
      ...damageNotes(inspection),
      ...(rebuilt?.notes ?? []),
      ...(((isOff && verdict !== 'damaged') || isRounding) && !isStillReused ? [offNote] : []),
      ...(isStillReused ? [stillReusedNote] : isStillOff ? [stillOffNote] : []),
    ],
  };
}

/** As it is now. What a repair that did not end has left under the salt is given up: it would be reused, and never proven. */
async function lineageOf(core: CoreContext, { manifest, kv }: FrozenContext): Promise<Lineage> {
  const lineage = await core.store.getLineage(manifest.lineage);
  if (kv.unfinishedRepair !== lineage.generation) return lineage;
  return core.store.advanceLineage(lineage.id, lineage.generation);
}

const offNote =
  'The answer was another than when it was frozen, so the KV was given up and the context computed again.';

const stillOffNote =
  'Even computed anew, the answer is another than when it was frozen: other weights are served, or the engine is damaged and needs a restart.';

const stillReusedNote =
  'The engine reuses KV under a cache salt that nobody has used, so what it has could not be given up: restart it with an empty cache.';

const roundingWhy =
  'A fresh computation is off by as much: what was reused had been computed again since the freeze, others used the server at the freeze, or the engine is another version.';

const noFilesThen = 'The block files were out of reach when the window was frozen.';

/**
 * Whether what spoke against the reused KV was the rounding of KV that was computed again: then a fresh computation is off from the
 * frozen canary by as much.
 */
function isRounded(
  { kv, description }: FrozenContext,
  { restored, measured, check, foundLate, prefixes, isOff }: Inspection,
  fresh: KvRecord,
): boolean {
  if (isOff || foundLate.length > 0) return false;
  // What came out of files that were all looked at, or out of the one that was kept, nobody has computed again meanwhile.
  const mayBeRecomputed = restored.outcome === 'on-demand' && (check === null || check.missing.length > 0);
  const isAnotherEngine = kv.engineKind !== description.kind || kv.engineVersion !== description.version;
  if (!mayBeRecomputed && !isAnotherEngine) return false;
  const prefix = prefixes?.disagreed;
  if (prefix) {
    const again = fresh.prefixCanaries.find(({ tokens }) => tokens === prefix.tokens);
    return again !== undefined && isExplainedByRounding(prefix.frozen, prefix.measured, again.canary);
  }
  if (!kv.canary || !measured?.canary || !fresh.canary || kv.canaryTokens !== fresh.canaryTokens) return false;
  return isExplainedByRounding(kv.canary[1], measured.canary, fresh.canary[1]);
}

function damageNotes({ check, foundLate, measured }: Inspection): string[] {
  const notes: string[] = [];
  const deleted = (check?.damaged.length ?? 0) - foundLate.length;
  if (deleted > 0) {
    notes.push(`Damaged block files were found and deleted before the engine could use them: ${deleted}.`);
  }
  if (foundLate.length > 0) {
    notes.push(
      `Block files had changed though they looked untouched, and what was reused was given up: ${foundLate.length}.`,
    );
  }
  if (measured === null) notes.push('The engine failed over the KV it had stored, so that KV was given up.');
  return notes;
}
