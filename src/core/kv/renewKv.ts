import type { WindowName } from '../../protocol/ids.ts';
import type { KvTier, Verdict } from '../../protocol/schemas/receipt.ts';
import type { KvRecord } from '../../protocol/schemas/window.ts';
import { totalBytes, type BlockCheck } from '../evidence/blocks.ts';
import type { CoreContext } from '../context.ts';
import { saltOf } from '../lineage.ts';
import type { Lineage } from '../ports/store.ts';
import { seal, type SealRequest } from './seal.ts';
import { hashesOf, type Hold } from '../space/blocksInUse.ts';

export interface KvRenewal {
  readonly kv: KvRecord;
  readonly kvBytesWritten: number | null;
  /** Why the block files can't be seen; null when they can, or nobody looked. */
  readonly unreachableWhy: string | null;
  readonly notes: readonly string[];
}

/** The record as it was. */
export const nothingRenewed = (kv: KvRecord): KvRenewal => ({
  kv,
  kvBytesWritten: 0,
  unreachableWhy: null,
  notes: [],
});

export interface RenewRequest extends Pick<SealRequest, 'engine' | 'description' | 'progress'> {
  readonly window: WindowName;
  readonly ids: readonly number[];
  readonly kv: KvRecord;
  /** As it is now: after a repair, the next generation. */
  readonly lineage: Lineage;
  /** Of the KV as it is now: after a repair, `rebuilt`. */
  readonly verdict: Verdict;
  /** Where the measured request's KV came from. */
  readonly tier: KvTier | null;
  readonly reusedTokens: number;
  readonly check: BlockCheck | null;
  /** Whether a checksum or the canary spoke for what was reused. */
  readonly isContentConfirmed: boolean;
  /** Whether the canary agreed over KV that the engine keeps for long, all of it reused. */
  readonly isCanaryOfKept: boolean;
  readonly hold: Hold;
}

/**
 * Makes a window's KV record true again after a thaw: where anything was computed again, the context is sealed and recorded
 * anew; where only stat fields moved, they are written down; otherwise nothing is done.
 */
export async function renewKv(core: CoreContext, request: RenewRequest, signal: AbortSignal): Promise<KvRenewal> {
  const { window, kv, lineage, verdict, check } = request;
  const unchanged = nothingRenewed(kv);
  const isOfThisGeneration = lineage.generation === kv.saltGeneration;
  const isWhole = !check || (check.whole.length === kv.blocks.length && check.recomputed.length === 0);
  if (verdict === 'unobserved') return unchanged;
  const isAsFrozen = isOfThisGeneration && isWhole && (kv.canaryIsExact || request.tier !== 'disk');
  if (verdict === 'proven' && isAsFrozen) {
    if (!check || check.hashed === 0) return unchanged;
    const blocks = inOrder(kv, check);
    const touched = { ...kv, blocks, kvBytes: totalBytes(blocks) };
    await core.store.replaceWindowKv(window, touched);
    return { ...unchanged, kv: touched };
  }

  const sealed = await seal(
    {
      engine: request.engine,
      description: request.description,
      context: { ids: request.ids, salt: saltOf(lineage), handle: isOfThisGeneration ? kv.handle : null },
      saltGeneration: lineage.generation,
      known: isOfThisGeneration ? { ...kv, blocks: [...(check?.whole ?? [])] } : null,
      progress: request.progress,
      onLocated: (located) => request.hold(hashesOf(located)),
    },
    signal,
  );
  // What nothing speaks for must not become what the next thaw is held against.
  const isInDoubt = verdict === 'partial' && !request.isContentConfirmed;
  const { canary, canaryTokens } = isInDoubt ? kv : sealed.kv;
  const stillReused = kv.prefixCanaries.filter(
    ({ tokens }) => isOfThisGeneration && tokens - 1 <= request.reusedTokens,
  );
  const isSameCanary = request.isCanaryOfKept && canaryTokens === kv.canaryTokens;
  const renewed = {
    ...sealed.kv,
    canary,
    canaryTokens,
    prefixCanaries: verdict === 'partial' ? stillReused : sealed.kv.prefixCanaries,
    canaryIsExact: isSameCanary || (sealed.kv.canaryIsExact && answeredFromWhatIsKept(request)),
  };
  await core.store.replaceWindowKv(window, renewed);
  return {
    kv: renewed,
    kvBytesWritten: sealed.kvBytesWritten,
    unreachableWhy: sealed.blocksUnreachable,
    notes: sealed.notes,
  };
}

/**
 * Whether the canaries just taken are those of the blocks as they lie on disk. After a partial thaw, some are of the freeze
 * and some were computed now, and the engine answered from memory; which it takes next time is its own affair.
 */
function answeredFromWhatIsKept({ verdict, check, tier }: RenewRequest): boolean {
  if (verdict === 'rebuilt') return !check || check.whole.length === 0;
  return verdict === 'proven' && tier === 'disk';
}

function inOrder(kv: KvRecord, check: BlockCheck): KvRecord['blocks'] {
  const byHash = new Map(check.whole.map((record) => [record.hash, record]));
  return kv.blocks.flatMap((record) => byHash.get(record.hash) ?? []);
}
