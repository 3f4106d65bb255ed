import type { BlockRecord, KvRecord } from '../../protocol/schemas/window.ts';
import { totalBytes, type BlockCheck } from '../evidence/blocks.ts';
import type { FrozenContext } from '../evidence/frozenContext.ts';
import { saltOf } from '../ports/lineages.ts';
import type { Lineage } from '../ports/lineages.ts';
import { firstTokenOf, hasDamageInMemory } from './damageInMemory.ts';
import type { RecordPlan } from './judge.ts';
import { seal } from './seal.ts';
import { hashesOf } from '../space/blocksInUse.ts';

export interface KvRenewal {
  readonly kv: KvRecord;
  readonly kvBytesWritten: number | null;
  /** Why the block files cannot be read; null when they can, or when no check read them. */
  readonly unreachableWhy: string | null;
  readonly notes: readonly string[];
}

/** The record before this thaw. */
export const nothingRenewed = (kv: KvRecord): KvRenewal => ({
  kv,
  kvBytesWritten: 0,
  unreachableWhy: null,
  notes: [],
});

/** Records new stat fields of files whose content is unchanged, so that the next thaw need not read them. */
export async function recordStats({ record, kv }: FrozenContext, check: BlockCheck): Promise<KvRenewal> {
  const byHash = new Map(check.whole.map((block) => [block.hash, block]));
  const blocks = kv.blocks.flatMap(({ hash }) => byHash.get(hash) ?? []);
  const touched = { ...kv, blocks, kvBytes: totalBytes(blocks) };
  await record.save(touched);
  return nothingRenewed(touched);
}

/** Records the most tokens that the engine reuses of the restored context, so that later thaws are compared with that number. */
export async function recordFloor({ record, kv }: FrozenContext, mostReusable: number): Promise<KvRenewal> {
  const lowered = { ...kv, mostReusable };
  await record.save(lowered);
  return nothingRenewed(lowered);
}

export interface RenewRequest {
  /** As it is now: after a repair, the next generation. */
  readonly lineage: Lineage;
  readonly plan: RecordPlan;
  /** The blocks whose files are known to be whole, which need not be read again. */
  readonly known: readonly BlockRecord[];
  /** Blocks whose files were damaged and are deleted. */
  readonly damaged: readonly string[];
  /** Of the frozen context, from its beginning on. */
  readonly reusedTokens: number;
}

/**
 * Seals a window's context and records its KV again, so that the next thaw is compared with KV that exists.
 *
 * @returns null where the engine still had a damaged file in memory.
 */
export async function renewKv(
  { engine, description, record, ids, kv, slot, progress, hold }: FrozenContext,
  { lineage, plan, known, damaged, reusedTokens }: RenewRequest,
  signal: AbortSignal,
): Promise<KvRenewal | null> {
  const isOfThisGeneration = lineage.generation === kv.saltGeneration;
  const sealed = await seal(
    {
      engine,
      description,
      context: { ids, salt: saltOf(lineage), handle: isOfThisGeneration ? kv.handle : null, slot },
      saltGeneration: lineage.generation,
      known: isOfThisGeneration ? { ...kv, blocks: [...known] } : null,
      replaced: kv,
      progress,
      onLocated: (located) => hold(hashesOf(located)),
    },
    signal,
  );
  const files = { files: kv.blocks.length, tokens: ids.length, blockTokens: kv.blockTokens };
  const deleted = kv.blocks.flatMap(({ hash, checksum }, index) =>
    damaged.includes(hash) ? [{ hash, firstToken: firstTokenOf(index, files), checksums: [checksum] }] : [],
  );
  if (hasDamageInMemory(deleted, sealed.kv.blocks, reusedTokens)) return null;
  const { canary, canaryTokens } = plan.canary === 'frozen' ? kv : sealed.kv;
  const stillReused = kv.prefixCanaries.filter(({ tokens }) => isOfThisGeneration && tokens - 1 <= reusedTokens);
  const isExact = {
    coarse: false,
    'as-sealed': sealed.kv.canaryIsExact,
    'as-before': canaryTokens === kv.canaryTokens,
  }[plan.grain];
  const renewed = {
    ...sealed.kv,
    canary,
    canaryTokens,
    prefixCanaries: plan.prefixes === 'still-reused' ? stillReused : sealed.kv.prefixCanaries,
    canaryIsExact: isExact,
  };
  await record.save(renewed);
  return {
    kv: renewed,
    kvBytesWritten: sealed.kvBytesWritten,
    unreachableWhy: sealed.blocksUnreachable,
    notes: sealed.notes,
  };
}
