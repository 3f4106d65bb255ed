import type { ContentChecks, Repair, Verdict } from '../../protocol/schemas/receipt.ts';
import type { KvRecord } from '../../protocol/schemas/window.ts';
import type { BlockCheck } from '../evidence/blocks.ts';
import { isExplainedByRounding } from '../evidence/canaryCheck.ts';
import { contentChecks } from '../evidence/contentChecks.ts';
import type { FrozenContext } from '../evidence/frozenContext.ts';
import { answersOtherwise, inspectKv, type Inspection } from '../evidence/inspectKv.ts';
import { verdictOf } from '../evidence/reuseVerdict.ts';
import type { CoreContext } from '../context.ts';
import type { Measurement } from '../ports/engine.ts';
import { hasImportedKv, type Lineage } from '../ports/lineages.ts';
import { importedNotes } from './importedNotes.ts';
import { findingOf, isMeasure, judge, planAfterRebuild, reportOf, type Judgement, type Rebuild } from './judge.ts';
import { sharedBase } from './sharedBase.ts';
import { rebuildUnderNextSalt, type RebuiltKv } from './rebuildKv.ts';
import { nothingRenewed, recordFloor, recordStats, renewKv, type KvRenewal } from './renewKv.ts';

/** The result of loading a window's KV. */
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
 * Loads the KV of a window and proves what the engine reuses: inspects it, gives it up where it differs from the frozen KV, and records
 * the KV that exists now. Only KV and its record change; an abort leaves the text untouched.
 */
export async function warm(core: CoreContext, request: FrozenContext, signal: AbortSignal): Promise<Warmed> {
  const frozenLineage = await lineageOf(core, request);
  const inspection = await inspectKv(core, request, frozenLineage, signal);
  const judgement = judge(request.kv, inspection);
  const warmed = await carryOut(core, request, { judgement, inspection, frozenLineage }, signal);
  if (warmed) return warmed;
  // The engine had loaded a damaged file before it was deleted, and has written it again.
  const damaged = { ...inspection, verdict: 'damaged', content: 'disagreed' } as const;
  const giveUp = { judgement: { kind: 'give-up', why: 'damaged' }, inspection: damaged, frozenLineage } as const;
  return (await carryOut(core, request, giveUp, signal)) as Warmed;
}

/** @returns null where KV that was to be recorded again turned out to be other than the frozen one: it must be given up. */
async function carryOut(
  core: CoreContext,
  request: FrozenContext,
  { judgement, inspection, frozenLineage }: Pick<Judged, 'judgement' | 'inspection' | 'frozenLineage'>,
  signal: AbortSignal,
): Promise<Warmed | null> {
  const { kv } = request;
  const { check, canary, restored, foundLate } = inspection;

  const rebuilt =
    judgement.kind === 'give-up' ? await rebuild(core, request, frozenLineage, check?.damaged, signal) : null;
  const outcome = rebuilt ? rebuildOf(kv, rebuilt.measured) : 'as-frozen';
  const renewal = await renewAs(request, { judgement, inspection, rebuilt, rebuild: outcome, frozenLineage }, signal);
  if (!renewal) return null;
  const finding = findingOf(judgement, outcome, () => isRounded(request, inspection, renewal.kv));
  const told =
    finding === 'rounding' && canary?.result === 'disagreed'
      ? { ...canary, result: 'not-run' as const, why: roundingWhy }
      : canary;
  const isImported = !rebuilt && hasImportedKv(frozenLineage);
  const { notes, repair } = reportOf(finding, outcome, inspection);
  return {
    verdict: finding === 'rounding' && rebuilt ? verdictOf(request, rebuilt.measured, null, told) : inspection.verdict,
    measured: rebuilt?.measured ?? (inspection.measured as Measurement),
    content: {
      ...contentChecks(check, told, renewal.unreachableWhy ?? whyNoFiles(request)),
      ...(isImported && { isImported }),
    },
    repair,
    kv: renewal.kv,
    kvBytesWritten: renewal.kvBytesWritten,
    notes: [
      ...restored.notes,
      ...renewal.notes,
      ...damageNotes(check, foundLate.length, inspection.measured),
      ...(rebuilt?.notes ?? []),
      ...notes,
      ...importedNotes(isImported),
    ],
  };
}

/** A session on a project's base leaves the base's blocks to it, unless they are what is damaged. */
async function rebuild(
  core: CoreContext,
  request: FrozenContext,
  frozen: Lineage,
  damaged: readonly string[] = [],
  signal: AbortSignal,
): Promise<RebuiltKv> {
  const base = await sharedBase(core, request, frozen, damaged, signal);
  if (base?.isDamaged) await core.store.lineages.advance(base.lineage.id, base.lineage.generation);
  return rebuildUnderNextSalt(core, request, { frozen, left: base?.isDamaged ? null : (base?.hashes ?? null) }, signal);
}

interface Judged {
  readonly judgement: Judgement;
  readonly inspection: Inspection;
  /** Null where no KV was given up. */
  readonly rebuilt: RebuiltKv | null;
  readonly rebuild: Rebuild;
  readonly frozenLineage: Lineage;
}

/** Makes the window's KV record true again, as judged. */
async function renewAs(
  request: FrozenContext,
  { judgement, inspection, rebuilt, rebuild, frozenLineage }: Judged,
  signal: AbortSignal,
): Promise<KvRenewal | null> {
  const { check, measured } = inspection;
  if (judgement.kind === 'keep')
    return judgement.record === 'restat' && check ? recordStats(request, check) : nothingRenewed(request.kv);
  if (judgement.kind === 'lower-floor') return recordFloor(request, judgement.mostReusable);
  if (judgement.kind === 'renew') {
    const reusedTokens = measured?.reuse.cachedTokens ?? 0;
    const { damaged = [], whole: known = [] } = check ?? {};
    return renewKv(request, { lineage: frozenLineage, plan: judgement.plan, known, damaged, reusedTokens }, signal);
  }
  if (!rebuilt || !isMeasure(rebuild, inspection)) return nothingRenewed(request.kv);
  const renewal = { lineage: rebuilt.lineage, plan: planAfterRebuild, known: [], damaged: [], reusedTokens: 0 };
  return renewKv(request, renewal, signal);
}

/** Under a fresh salt an engine has nothing to reuse, unless it ignores salts. */
function rebuildOf(kv: KvRecord, measured: Measurement): Rebuild {
  if ((measured.reuse.cachedTokens ?? 0) > 0) return 'still-reused';
  return answersOtherwise(kv, measured) ? 'another' : 'as-frozen';
}

/**
 * The lineage of this moment. KV that an unfinished repair left under its salt is given up: the engine would reuse it, and no check could
 * prove it. A clone that was made since then has that unfinished repair in its record, too, under whichever salt.
 */
async function lineageOf(core: CoreContext, { manifest, kv }: FrozenContext): Promise<Lineage> {
  const lineage = await core.store.lineages.get(manifest.lineage);
  if (kv.unfinishedRepair === undefined) return lineage;
  return core.store.lineages.advance(lineage.id, lineage.generation);
}

const roundingWhy =
  'A fresh computation is off by as much: what was reused had been computed again since the freeze, others used the server at the freeze, or the engine is another version.';

/** Null where the window has files. */
function whyNoFiles({ ids, kv }: FrozenContext): string | null {
  if (kv.blocks.length > 0) return null;
  return ids.length < (kv.blockTokens ?? 0)
    ? 'The context is shorter than one KV block, so it has no file.'
    : 'The block files were out of reach when the window was frozen.';
}

/**
 * Whether the reused KV differs only by the rounding of KV that was computed again: then a fresh computation differs from the frozen
 * canary by as much.
 */
function isRounded(
  { kv, description }: FrozenContext,
  { restored, measured, check, foundLate, prefixes, answer }: Inspection,
  fresh: KvRecord,
): boolean {
  if (answer === 'another' || foundLate.length > 0) return false;
  // KV that was loaded from files which were all checked, or from one slot file, was not computed again since the freeze.
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

function damageNotes(check: BlockCheck | null, foundLate: number, measured: Measurement | null): string[] {
  const notes: string[] = [];
  const deleted = (check?.damaged.length ?? 0) - foundLate;
  if (deleted > 0) {
    notes.push(`Damaged block files were found and deleted before the engine could use them: ${deleted}.`);
  }
  if (foundLate > 0) {
    notes.push(`Block files had changed though they looked untouched, and what was reused was given up: ${foundLate}.`);
  }
  if (measured === null) notes.push('The engine failed over the KV it had stored, so that KV was given up.');
  return notes;
}
