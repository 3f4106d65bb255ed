import { randomSalt } from '../base/hash.ts';
import { CwmError, isEngineFailure } from '../protocol/errors.ts';
import type { LineageId, WindowName } from '../protocol/ids.ts';
import type { ContentChecks, Repair, Verdict } from '../protocol/receipt.ts';
import type { BlockRecord, KvRecord, WindowManifest } from '../protocol/window.ts';
import { checkBlocks, type BlockCheck } from './blocks.ts';
import { differsGrossly } from './canary.ts';
import { checkCanary, isExplainedByRounding, type CanaryCheck } from './canaryCheck.ts';
import type { Progress } from './changes.ts';
import type { CoreContext } from './context.ts';
import { saltOf } from './lineage.ts';
import { measure } from './measure.ts';
import type { Engine, EngineDescription, KvContext, Measurement } from './ports/engine.ts';
import type { Lineage } from './ports/store.ts';
import { uncheckedContent } from './receipts.ts';
import { nothingRenewed, renewKv } from './renewKv.ts';
import { hashesOf, type Hold } from './space/blocksInUse.ts';
import { decideVerdict } from './verdict.ts';

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

export interface WarmRequest {
  readonly engine: Engine;
  readonly description: EngineDescription;
  readonly manifest: WindowManifest;
  readonly ids: readonly number[];
  readonly kv: KvRecord;
  readonly progress: Progress;
  readonly hold: Hold;
}

/**
 * Brings the KV of a window back and proves what came back: looks at the block files before any request, deletes the bad
 * ones, sends the frozen canary's request again, compares, and repairs. Only KV and its record change; an abort leaves the
 * text untouched.
 */
export async function warm(core: CoreContext, request: WarmRequest, signal: AbortSignal): Promise<Warmed> {
  const { engine, manifest, ids, kv, progress, hold } = request;
  const frozenLineage = await core.store.getLineage(manifest.lineage as LineageId);
  const context: KvContext = { ids, salt: saltOf(frozenLineage), handle: kv.handle };
  const isOfThisGeneration = frozenLineage.generation === kv.saltGeneration;

  progress('Checking the blocks');
  await hold(kv.blocks.map((block) => block.hash));
  const cleaned = await checkAndCleanBlocks(core, request, { ...context, isOfThisGeneration }, signal);
  progress('Restoring');
  const restored = await engine.restore(context, signal);
  progress('Measuring');
  const askCanary = () => measureUnlessPoisoned(request, context, signal);
  const first = await askCanary();
  if (first) core.prefill.observe(engine.spec, first.reuse);
  const reused = first && verdictOf(request, first, cleaned && { ...cleaned, damaged: [] }, null);
  const isExact =
    isOfThisGeneration &&
    kv.canaryIsExact &&
    (cleaned === null || cleaned.recomputed.length === 0) &&
    restsOnReused(kv, first, reused);
  const restoreRejected = restored.outcome === 'rejected';
  const canary =
    first && reused
      ? await checkCanary({ frozen: kv.canary, measured: first, reused, isExact, restoreRejected, askAgain: askCanary })
      : null;
  const isUnspoken = kv.canary !== null && canary?.result === 'not-run' && reused !== 'rebuilt';
  const changed = cleaned && isUnspoken ? await findChanged(core, request, { ...context, check: cleaned }, signal) : [];
  const check = cleaned && withDamage(cleaned, changed);
  const verdict = first && changed.length === 0 ? verdictOf(request, first, check, canary) : 'damaged';

  // Whatever the engine says of reuse, what answers otherwise than the frozen context must not be gone on from: other weights,
  // or damage that an engine does not show. Blocks after the frozen ones may be there as well.
  const isOff = first !== null && canary?.result !== 'agreed' && answersOtherwise(kv, first);
  const rebuilt =
    verdict === 'damaged' || isOff ? await rebuildUnderNextSalt(core, request, frozenLineage, signal) : null;
  const isStillOff = rebuilt !== null && answersOtherwise(kv, rebuilt.measured);
  // Under a salt that nobody has used there is nothing to reuse, except where the engine heeds no salt.
  const isStillReused = (rebuilt?.measured.reuse.cachedTokens ?? 0) > 0;
  // Neither that KV, nor what an engine that a refused restore has damaged computes now, must become what the next thaw is held against.
  const isInDoubt = isStillReused || (isStillOff && restoreRejected);
  const renewal = isInDoubt
    ? nothingRenewed(kv)
    : await renewKv(
        core,
        {
          ...request,
          window: manifest.name as WindowName,
          lineage: rebuilt?.lineage ?? frozenLineage,
          verdict: rebuilt ? 'rebuilt' : verdict,
          tier: first?.reuse.tier ?? null,
          check: rebuilt ? null : check,
          isCanaryOfKept: isExact && canary?.result === 'agreed' && kv.canaryTokens !== undefined,
          isContentConfirmed: first !== null && speaksForContent(kv, first, check, canary),
        },
        signal,
      );
  // What came out of files that were all looked at, or out of the one that was kept, nobody has computed again meanwhile.
  const mayBeRecomputed = restored.outcome === 'on-demand' && (check === null || check.missing.length > 0);
  const { kind, version } = request.description;
  const mayBeRounded = mayBeRecomputed || kv.engineKind !== kind || kv.engineVersion !== version;
  const isRounding =
    rebuilt !== null &&
    mayBeRounded &&
    changed.length === 0 &&
    !isOff &&
    !isStillOff &&
    isOffByRounding(kv, first, renewal.kv);
  const told = isRounding && canary ? { ...canary, result: 'not-run' as const, why: roundingWhy } : canary;
  return {
    verdict: isRounding ? verdictOf(request, rebuilt.measured, null, told) : verdict,
    measured: rebuilt?.measured ?? (first as Measurement),
    content: contentChecks(check, told, renewal.unreachableWhy ?? (kv.blocks.length === 0 ? noFilesThen : null)),
    repair: rebuilt && !isStillReused ? 'salt-advanced' : check && check.damaged.length > 0 ? 'blocks-deleted' : 'none',
    kv: renewal.kv,
    kvBytesWritten: renewal.kvBytesWritten,
    notes: [
      ...restored.notes,
      ...renewal.notes,
      ...damageNotes(cleaned, changed, first),
      ...(rebuilt?.notes ?? []),
      ...((isOff && verdict !== 'damaged') || isRounding ? [offNote] : []),
      ...(isStillReused ? [stillReusedNote] : isStillOff ? [stillOffNote] : []),
    ],
  };
}

const offNote =
  'The answer was another than when it was frozen, so the KV was given up and the context computed again.';

const stillOffNote =
  'Even computed anew, the answer is another than when it was frozen: other weights are served, or the engine is damaged and needs a restart.';

const stillReusedNote =
  'The engine reuses KV under a cache salt that nobody has used, so what it has could not be given up: restart it with an empty cache.';

const roundingWhy =
  'A fresh computation is off by as much: what was reused had been computed again since the freeze, or the engine is another version.';

function isOffByRounding(frozen: KvRecord, first: Measurement | null, fresh: KvRecord): boolean {
  if (!frozen.canary || !first?.canary || !fresh.canary || frozen.canaryTokens !== fresh.canaryTokens) return false;
  return isExplainedByRounding(frozen.canary[1], first.canary, fresh.canary[1]);
}

const answersOtherwise = ({ canary }: KvRecord, measured: Measurement): boolean =>
  canary !== null && measured.canary !== null && differsGrossly(canary[1], measured.canary);

const noFilesThen = 'The block files were out of reach when the window was frozen.';

function verdictOf(
  { description, kv }: WarmRequest,
  measured: Measurement,
  check: BlockCheck | null,
  canary: CanaryCheck | null,
): Verdict {
  const { reuse } = measured;
  const isConfirmed = speaksForContent(kv, measured, check, canary);
  return decideVerdict({
    reachable: true,
    sameIdentity: true,
    promptTokens: reuse.promptTokens,
    cachedTokens: reuse.cachedTokens,
    // Blocks of another size have other hashes: a server that tells one now and reuses them contradicts itself.
    blockTokens: kv.blockTokens === null || kv.blockTokens === description.blockTokens ? description.blockTokens : null,
    // What was found bad was deleted before the request, so whatever was reused had agreed.
    reusedChecksums: check && check.whole.length > 0 ? 'agreed' : 'not-run',
    canary: canary?.result ?? 'not-run',
    isDamageFound: check !== null && check.damaged.length > 0,
    cachedTokensFrom: reuse.cachedTokensFrom,
    isContentOutOfSight: kv.canary !== null && measured.canary === null && !isConfirmed,
    isContentUnconfirmed: !isConfirmed && ((kv.canary !== null && canary !== null) || (check?.whole.length ?? 0) > 0),
  });
}

/** Whether all the KV that the canary rests on was reused, as far as the engine tells. */
const restsOnReused = ({ canaryTokens }: KvRecord, first: Measurement | null, reused: Verdict | null): boolean =>
  canaryTokens === undefined ? reused !== 'partial' : (first?.reuse.cachedTokens ?? Infinity) >= canaryTokens - 1;

/** Whether the canary speaks for the content of what was reused, or the checksums of all files that it can have come from. */
const speaksForContent = (
  kv: KvRecord,
  { reuse }: Measurement,
  check: BlockCheck | null,
  canary: CanaryCheck | null,
): boolean =>
  canary?.result === 'agreed' || (check !== null && wholeTokens(kv, check, reuse) >= (reuse.cachedTokens ?? 0));

/** Tokens from the beginning on whose files are all whole. */
function wholeTokens(
  { blockTokens }: KvRecord,
  { checked, wholeAtStart }: BlockCheck,
  { promptTokens }: Measurement['reuse'],
): number {
  if (wholeAtStart === checked) return checked === 0 ? 0 : promptTokens;
  if (blockTokens === null) return 0;
  // A file may hold several blocks.
  const blocksPerFile = Math.max(1, Math.floor(Math.floor(promptTokens / blockTokens) / checked));
  return wholeAtStart * blocksPerFile * blockTokens;
}

/** Checks the recorded blocks; bad ones are deleted, so that the engine computes from there. Null when they can't be seen. */
async function checkAndCleanBlocks(
  core: CoreContext,
  { engine, kv, manifest }: WarmRequest,
  context: KvContext & { readonly isOfThisGeneration: boolean },
  signal: AbortSignal,
): Promise<BlockCheck | null> {
  if (kv.blocks.length === 0) return null;
  const location = await engine.locate(context, signal);
  if (!location.reachable) return null;
  const window = manifest.name as WindowName;
  const checksumsOfOthers = (hashes: readonly string[]) => core.store.checksumsOfOthers(hashes, window);
  const records = context.isOfThisGeneration
    ? kv.blocks
    : recordsFrom(hashesOf(location), await checksumsOfOthers(hashesOf(location)));
  if (records.length === 0) return null;
  const check = await checkBlocks(engine, location.blocks, records, { readAll: false, checksumsOfOthers }, signal);
  if (check.damaged.length > 0) await engine.forget({ hashes: check.damaged, handle: null }, signal);
  return check;
}

/**
 * Reads the files that stat fields spoke for: where the canary can't speak, they are not enough. Those that were missing stay out of it,
 * for the engine may have made them anew meanwhile.
 *
 * @returns the hashes of those that are not what was recorded.
 */
async function findChanged(
  core: CoreContext,
  { engine, manifest }: WarmRequest,
  { check, ...context }: KvContext & { readonly check: BlockCheck },
  signal: AbortSignal,
): Promise<readonly string[]> {
  const location = await engine.locate(context, signal);
  if (!location.reachable) return [];
  const checksumsOfOthers = (hashes: readonly string[]) =>
    core.store.checksumsOfOthers(hashes, manifest.name as WindowName);
  const options = { readAll: true, checksumsOfOthers };
  return (await checkBlocks(engine, location.blocks, check.whole, options, signal)).damaged;
}

const withDamage = (check: BlockCheck, changed: readonly string[]): BlockCheck => ({
  ...check,
  damaged: [...check.damaged, ...changed],
  whole: check.whole.filter(({ hash }) => !changed.includes(hash)),
});

/**
 * After a repair for another window, what that one has recorded since stands in for this one's record, which names blocks that
 * nobody reaches any more. None where a block is missing from it.
 */
function recordsFrom(hashes: readonly string[], checksums: ReadonlyMap<string, readonly string[]>): BlockRecord[] {
  const neverSeen = { sizeBytes: 0, mtimeNs: '', ctimeNs: '', inode: '' };
  const records = hashes.flatMap((hash) => {
    const [checksum] = checksums.get(hash) ?? [];
    return checksum === undefined ? [] : [{ hash, checksum, ...neverSeen }];
  });
  return records.length === hashes.length ? records : [];
}

/** For an engine that does not tell its block size. */
const mostLikelyBlockTokens = 256;

/**
 * Null when the engine fails over KV that it has: a block of noise makes it answer 500 for as long as the block is there.
 * An engine that fails on a fresh prompt as well is simply failing, and its error is passed on. The fresh prompt fills a whole
 * block: vLLM 0.32 gives the failed request's last block to whoever comes next, and fails over the noise that a shorter prompt
 * leaves standing in it.
 */
async function measureUnlessPoisoned(
  { engine, description, kv }: WarmRequest,
  context: KvContext,
  signal: AbortSignal,
): Promise<Measurement | null> {
  try {
    return await measure(engine, context, kv.canaryTokens, signal);
  } catch (error) {
    if (!(error instanceof CwmError) || error.code !== 'CWM-5004') throw error;
    const ids = context.ids.slice(0, description.blockTokens ?? mostLikelyBlockTokens);
    await engine.measure({ ids, salt: randomSalt(), handle: null }, signal).catch(() => {
      throw error;
    });
    return null;
  }
}

/** No request can reach what was computed under the old salt; the context is computed again under the next one. */
async function rebuildUnderNextSalt(
  core: CoreContext,
  { engine, ids, manifest, kv, progress }: WarmRequest,
  frozen: Lineage,
  signal: AbortSignal,
): Promise<{ readonly lineage: Lineage; readonly measured: Measurement; readonly notes: readonly string[] }> {
  progress('Rebuilding from the token ids');
  const lineage = await core.store.advanceLineage(manifest.lineage as LineageId, frozen.generation);
  const context = { ids, salt: saltOf(frozen) };
  const notes: string[] = [];
  try {
    await engine.forget({ hashes: kv.blocks.map((block) => block.hash), handle: kv.handle, context }, signal);
  } catch (error) {
    // It only takes up space now. An engine that is gone altogether fails the next request, and with that the thaw.
    if (signal.aborted || !(error instanceof CwmError && isEngineFailure(error))) throw error;
    notes.push(`The KV that was given up could not be deleted everywhere: ${error.message} (${error.code})`);
  }
  const measured = await measure(engine, { ids, salt: saltOf(lineage), handle: null }, kv.canaryTokens, signal);
  return { lineage, measured, notes };
}

function contentChecks(check: BlockCheck | null, canary: CanaryCheck | null, unseenWhy: string | null): ContentChecks {
  const whys = [check ? null : unseenWhy, canary?.why ?? null].filter((why) => why !== null);
  return {
    ...uncheckedContent(whys.join(' ')),
    ...(check && {
      checksums: check.damaged.length > 0 ? 'disagreed' : check.whole.length > 0 ? 'agreed' : 'not-run',
      blocksChecked: check.checked,
      blocksHashed: check.hashed,
      blocksDamaged: check.damaged.length,
      blocksMissing: check.missing.length,
    }),
    ...(canary && {
      canary: canary.result,
      canaryDifference: finiteOrNull(canary.difference),
      canaryNoise: canary.noise,
    }),
    ...(whys.length === 0 && { why: null }),
  };
}

/** JSON has no infinity; that the greedy token itself differs is said by the check's result. */
const finiteOrNull = (value: number | null): number | null => (value !== null && Number.isFinite(value) ? value : null);

function damageNotes(check: BlockCheck | null, changed: readonly string[], first: Measurement | null): string[] {
  const notes: string[] = [];
  if (check && check.damaged.length > 0) {
    notes.push(`Damaged block files were found and deleted before the engine could use them: ${check.damaged.length}.`);
  }
  if (changed.length > 0) {
    notes.push(
      `Block files had changed though they looked untouched, and what was reused was given up: ${changed.length}.`,
    );
  }
  if (first === null) notes.push('The engine failed over the KV it had stored, so that KV was given up.');
  return notes;
}
