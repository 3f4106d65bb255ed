import type { Verdict } from '../../protocol/schemas/receipt.ts';
import type { KvRecord } from '../../protocol/schemas/window.ts';
import type { BlockCheck } from './blocks.ts';
import { differsGrossly } from './canary.ts';
import { checkCanary, type CanaryCheck } from './canaryCheck.ts';
import type { CoreContext } from '../context.ts';
import { checkAndCleanBlocks, findChanged, withDamage } from './frozenBlocks.ts';
import { hasImportedKv, saltOf } from '../ports/lineages.ts';
import { measureUnlessPoisoned } from './measure.ts';
import type { KvContext, Measurement, RestoreEvidence } from '../ports/engine.ts';
import type { Lineage } from '../ports/lineages.ts';
import { checkPrefixes, type PrefixCheck } from './prefixCanaries.ts';
import { contentEvidence, restsOnReused, verdictOf } from './reuseVerdict.ts';
import type { ContentEvidence } from './verdict.ts';
import type { FrozenContext } from './frozenContext.ts';

/** The evidence about a window's KV. Bad block files are already deleted; nothing else is repaired. */
export interface Inspection {
  readonly verdict: Verdict;
  readonly restored: RestoreEvidence;
  /** Null when the engine failed over the KV that it had stored. */
  readonly measured: Measurement | null;
  /** Whether the lineage still has the salt that the window's record is about. */
  readonly salt: 'of-record' | 'later';
  /** Null where no block file can be read. */
  readonly check: BlockCheck | null;
  /** Of its damaged files those that were found only after the engine had used them. */
  readonly foundLate: readonly string[];
  readonly canary: CanaryCheck | null;
  /** How the canary was compared: bit for bit, or allowing for the rounding of KV that was computed again. */
  readonly canaryGrain: 'exact' | 'coarse';
  /** Null where nothing was reused, or another canary had disagreed by then. */
  readonly prefixes: PrefixCheck | null;
  /** `in-doubt`: the answer's last bits moved, by other requests or by damage, and nothing else speaks for what was reused. */
  readonly content: ContentEvidence | 'in-doubt';
  /** `another`: the answer differs grossly from the frozen one, with or without a claim of reuse. */
  readonly answer: 'none' | 'as-frozen' | 'another';
}

/** Looks at the block files before any request, deletes the bad ones, sends the frozen canary's request again, and compares. */
export async function inspectKv(
  core: CoreContext,
  request: FrozenContext,
  lineage: Lineage,
  signal: AbortSignal,
): Promise<Inspection> {
  const { engine, ids, kv, slot, progress, hold } = request;
  const context: KvContext = { ids, salt: saltOf(lineage), handle: kv.handle, slot };
  const salt = lineage.generation === kv.saltGeneration ? 'of-record' : 'later';

  progress('Checking the blocks');
  await hold(kv.blocks.map((block) => block.hash));
  const isOfThisGeneration = salt === 'of-record';
  const cleaned = await checkAndCleanBlocks(request, { ...context, isOfThisGeneration }, signal);
  progress('Restoring');
  const restored = await engine.restore(context, signal);
  progress('Measuring');
  const askCanary = () => measureUnlessPoisoned(request, context, signal);
  const measured = await askBelievably(core, request, askCanary);
  const files = { restored, salt, canaryGrain: 'coarse', foundLate: [], prefixes: null } as const;
  if (!measured)
    return {
      ...files,
      verdict: 'damaged',
      measured,
      check: cleaned,
      canary: null,
      content: 'disagreed',
      answer: 'none',
    };

  const computed = hasImportedKv(lineage) ? 'elsewhere' : 'here';
  const reused = verdictOf(request, measured, cleaned && { ...cleaned, damaged: [] }, null, computed);
  const isCanaryExact =
    isOfThisGeneration &&
    kv.canaryIsExact &&
    (cleaned === null || cleaned.recomputed.length === 0) &&
    restsOnReused(kv, measured, reused);
  const whole = await checkCanary({
    frozen: kv.canary,
    measured,
    reused,
    isExact: isCanaryExact,
    restoreRejected: restored.outcome === 'rejected',
    askAgain: askCanary,
  });
  const isReuseShown = isOfThisGeneration && (reused === 'partial' || reused === 'reused' || reused === 'proven');
  const prefixes =
    isReuseShown && whole.result !== 'disagreed' ? await checkPrefixes(request, context, measured, signal) : null;
  const canary = withPrefixes(whole, prefixes);
  const isUnspoken = kv.canary !== null && canary.result === 'not-run' && reused !== 'rebuilt';
  const foundLate = cleaned && isUnspoken ? await findChanged(request, { ...context, check: cleaned }, signal) : [];
  const check = cleaned && withDamage(cleaned, foundLate);
  const isKnownBad = foundLate.length > 0 || isStillThere(kv, measured);
  const content = isKnownBad ? 'disagreed' : contentEvidence(kv, measured, check, canary);
  const isInDoubt = isReuseShown && canary.mayBeNoise === true && content === 'unconfirmed';
  return {
    verdict: isKnownBad ? 'damaged' : verdictOf(request, measured, check, canary, computed),
    restored,
    measured,
    salt,
    check,
    foundLate,
    canary,
    canaryGrain: isCanaryExact ? 'exact' : 'coarse',
    prefixes,
    content: isInDoubt ? 'in-doubt' : content,
    answer: canary.result !== 'agreed' && answersOtherwise(kv, measured) ? 'another' : 'as-frozen',
  };
}

/**
 * Full reuse takes little time. A request that took too long may have had its KV loaded from a slow disk; the next one has it in memory,
 * and where that takes as long, the engine computes what it says it reused.
 */
async function askBelievably(
  { prefill }: CoreContext,
  { engine: { spec } }: FrozenContext,
  ask: () => Promise<Measurement | null>,
): Promise<Measurement | null> {
  const measured = await ask();
  if (!measured) return null;
  const claimsReuse = (measured.reuse.cachedTokens ?? 0) > measured.reuse.promptTokens / 2;
  const isTooSlow = ({ reuse }: Measurement): boolean =>
    claimsReuse && reuse.cachedTokensFrom !== 'events' && prefill.isTooSlowForReuse(spec, reuse);
  if (!isTooSlow(measured)) {
    prefill.observe(spec, measured.reuse);
    return measured;
  }
  const again = await ask();
  if (!again || !isTooSlow(again)) return again && measured;
  const { reuse } = measured;
  return { ...measured, reuse: { ...reuse, cachedTokens: null, cachedTokensFrom: 'none', isTooSlow: true } };
}

/** A beginning that answers otherwise speaks against all of it; one that answers the same speaks for itself alone. */
function withPrefixes(whole: CanaryCheck, prefixes: PrefixCheck | null): CanaryCheck {
  if (prefixes?.disagreed) return prefixes.disagreed.check;
  if (whole.result === 'agreed' || !prefixes?.agreedTokens) return whole;
  return { ...whole, why: `${whole.why} Over the first ${prefixes.agreedTokens} tokens it is the very same.` };
}

/**
 * Whether KV that an earlier thaw wanted to give up is reused all the same: its repair did not end, so the salt is one that nobody has used
 * yet, and an engine that heeds salts would have nothing under it.
 */
const isStillThere = ({ unfinishedRepair }: KvRecord, { reuse }: Measurement): boolean =>
  unfinishedRepair !== undefined && (reuse.cachedTokens ?? 0) > 0;

/** Whether this is quite another answer than the frozen one. */
export const answersOtherwise = ({ canary }: KvRecord, measured: Measurement): boolean =>
  canary !== null && measured.canary !== null && differsGrossly(canary[1], measured.canary);
