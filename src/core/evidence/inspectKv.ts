import type { Verdict } from '../../protocol/schemas/receipt.ts';
import type { KvRecord } from '../../protocol/schemas/window.ts';
import type { BlockCheck } from './blocks.ts';
import { differsGrossly } from './canary.ts';
import { checkCanary, type CanaryCheck } from './canaryCheck.ts';
import type { CoreContext } from '../context.ts';
import { checkAndCleanBlocks, findChanged, withDamage } from './frozenBlocks.ts';
import { saltOf } from '../lineage.ts';
import { measureUnlessPoisoned } from './measure.ts';
import type { KvContext, Measurement, RestoreEvidence } from '../ports/engine.ts';
import type { Lineage } from '../ports/store.ts';
import { checkPrefixes, type PrefixCheck } from './prefixCanaries.ts';
import { restsOnReused, speaksForContent, verdictOf } from './reuseVerdict.ts';
import type { FrozenContext } from './frozenContext.ts';

/** What the engine showed of a window's KV. Bad block files are deleted by then; nothing else is repaired. */
export interface Inspection {
  readonly verdict: Verdict;
  readonly restored: RestoreEvidence;
  /** Null when the engine failed over the KV that it had stored. */
  readonly measured: Measurement | null;
  /** Null where no block file can be seen. */
  readonly check: BlockCheck | null;
  /** Of its damaged files those that were found only after the engine had used them. */
  readonly foundLate: readonly string[];
  readonly canary: CanaryCheck | null;
  /** Null where nothing was reused, or another canary had disagreed by then. */
  readonly prefixes: PrefixCheck | null;
  /** Whether the canary was compared bit for bit. */
  readonly isCanaryExact: boolean;
  /** Whether a checksum or the canary spoke for what was reused. */
  readonly isContentConfirmed: boolean;
  /** Others may have moved the answer's last bits or damage may have, and nothing else speaks for what was reused. */
  readonly isInDoubt: boolean;
  /** The answer is quite another than the frozen one. */
  readonly isOff: boolean;
}

/** Looks at the block files before any request, deletes the bad ones, sends the frozen canary's request again, and compares. */
export async function inspectKv(
  core: CoreContext,
  request: FrozenContext,
  lineage: Lineage,
  signal: AbortSignal,
): Promise<Inspection> {
  const { engine, ids, kv, progress, hold } = request;
  const context: KvContext = { ids, salt: saltOf(lineage), handle: kv.handle };
  const isOfThisGeneration = lineage.generation === kv.saltGeneration;

  progress('Checking the blocks');
  await hold(kv.blocks.map((block) => block.hash));
  const cleaned = await checkAndCleanBlocks(core, request, { ...context, isOfThisGeneration }, signal);
  progress('Restoring');
  const restored = await engine.restore(context, signal);
  progress('Measuring');
  const askCanary = () => measureUnlessPoisoned(request, context, signal);
  const measured = await askCanary();
  if (measured) core.prefill.observe(engine.spec, measured.reuse);

  const reused = measured && verdictOf(request, measured, cleaned && { ...cleaned, damaged: [] }, null);
  const isCanaryExact =
    isOfThisGeneration &&
    kv.canaryIsExact &&
    (cleaned === null || cleaned.recomputed.length === 0) &&
    restsOnReused(kv, measured, reused);
  const whole =
    measured && reused
      ? await checkCanary({
          frozen: kv.canary,
          measured,
          reused,
          isExact: isCanaryExact,
          restoreRejected: restored.outcome === 'rejected',
          askAgain: askCanary,
        })
      : null;
  const isReuseShown = isOfThisGeneration && (reused === 'partial' || reused === 'proven');
  const prefixes =
    measured && isReuseShown && whole?.result !== 'disagreed'
      ? await checkPrefixes(request, context, measured, signal)
      : null;
  const canary = whole && withPrefixes(whole, prefixes);
  const isUnspoken = kv.canary !== null && canary?.result === 'not-run' && reused !== 'rebuilt';
  const foundLate =
    cleaned && isUnspoken ? await findChanged(core, request, { ...context, check: cleaned }, signal) : [];
  const check = cleaned && withDamage(cleaned, foundLate);
  const isContentConfirmed = measured !== null && speaksForContent(kv, measured, check, canary);
  return {
    verdict: measured && foundLate.length === 0 ? verdictOf(request, measured, check, canary) : 'damaged',
    restored,
    measured,
    check,
    foundLate,
    canary,
    prefixes,
    isCanaryExact,
    isContentConfirmed,
    isInDoubt: isReuseShown && canary?.mayBeNoise === true && !isContentConfirmed,
    isOff: measured !== null && canary?.result !== 'agreed' && answersOtherwise(kv, measured),
  };
}

/** A beginning that answers otherwise speaks against all of it; one that answers the same speaks for itself alone. */
function withPrefixes(whole: CanaryCheck, prefixes: PrefixCheck | null): CanaryCheck {
  if (prefixes?.disagreed) return prefixes.disagreed.check;
  if (whole.result === 'agreed' || !prefixes?.agreedTokens) return whole;
  return { ...whole, why: `${whole.why} Over the first ${prefixes.agreedTokens} tokens it is the very same.` };
}

/** Whether this is quite another answer than the frozen one. */
export const answersOtherwise = ({ canary }: KvRecord, measured: Measurement): boolean =>
  canary !== null && measured.canary !== null && differsGrossly(canary[1], measured.canary);
