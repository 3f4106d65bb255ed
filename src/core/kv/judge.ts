import type { Repair, Verdict } from '../../protocol/schemas/receipt.ts';
import type { KvRecord } from '../../protocol/schemas/window.ts';
import type { Inspection } from '../evidence/inspectKv.ts';
import { mostReusable } from '../evidence/reuse.ts';

/*
 * Decides, from evidence alone, what a thaw does with the KV that it inspected, and what its receipt says. `warm.ts` carries the decision out.
 */

/** How a window's KV record is written after KV was computed again. */
export interface RecordPlan {
  /** Which canary later thaws are compared with. Without evidence for the new one, this stays the frozen one. */
  readonly canary: 'sealed' | 'frozen';
  /** Which canaries over beginnings are recorded: those of the seal, or the frozen ones over what was reused. */
  readonly prefixes: 'sealed' | 'still-reused';
  /**
   * Whether later thaws compare the canary bit for bit: never, where the seal allows it, or, for a canary that
   * agreed over the part that the engine stores, as long as it covers the same tokens.
   */
  readonly grain: 'coarse' | 'as-sealed' | 'as-before';
}

/** Why KV is given up. `off`: the answer differs much, though no evidence shows the reuse of damaged KV. */
export type GiveUpReason = 'damaged' | 'in-doubt' | 'off';

export type Judgement =
  /** The record is true. `restat`: the files are the same, and their stat fields moved. */
  | { readonly kind: 'keep'; readonly record: 'unchanged' | 'restat' }
  /** The record is true but for its floor: of a context that was restored whole, the engine reuses at most this many tokens. */
  | { readonly kind: 'lower-floor'; readonly mostReusable: number }
  /** Some KV was computed again, so the context is sealed and recorded again. */
  | { readonly kind: 'renew'; readonly plan: RecordPlan }
  /** The conversation must not continue from this KV: other weights computed it, or it is damaged. Blocks after the frozen ones may exist as well. */
  | { readonly kind: 'give-up'; readonly why: GiveUpReason };

export function judge(kv: KvRecord, inspection: Inspection): Judgement {
  const { verdict, content, answer } = inspection;
  if (verdict === 'damaged') return { kind: 'give-up', why: 'damaged' };
  if (content === 'in-doubt') return { kind: 'give-up', why: 'in-doubt' };
  if (answer === 'another') return { kind: 'give-up', why: 'off' };
  if (verdict === 'unobserved' || isUnsure(kv, inspection)) return { kind: 'keep', record: 'unchanged' };
  if (isFull(verdict) && isRecordTrue(kv, inspection)) {
    const haveStatsMoved = (inspection.check?.hashed ?? 0) > 0;
    return { kind: 'keep', record: haveStatsMoved ? 'restat' : 'unchanged' };
  }
  const most = floorAfterRestore(kv, inspection);
  if (most !== undefined) return { kind: 'lower-floor', mostReusable: most };
  return { kind: 'renew', plan: planAfter(kv, inspection) };
}

const isFull = (verdict: Verdict): boolean => verdict === 'proven' || verdict === 'reused';

/** Whether the engine reused everything, but a check that the window has could not confirm it. Such KV must not become the measure. */
const isUnsure = (kv: KvRecord, { verdict, content }: Inspection): boolean =>
  verdict === 'reused' && (kv.canary !== null || kv.blocks.length > 0) && !isContentConfirmed(content);

const isContentConfirmed = (content: Inspection['content']): boolean => content === 'checksums' || content === 'canary';

/** Whether every recorded block exists unchanged, and no canary could agree better. */
const isRecordTrue = (kv: KvRecord, inspection: Inspection): boolean =>
  areBlocksAsRecorded(kv, inspection) && (kv.canaryIsExact || inspection.measured?.reuse.tier !== 'disk');

const areBlocksAsRecorded = (kv: KvRecord, { salt, check }: Inspection): boolean =>
  salt === 'of-record' && (!check || (check.whole.length === kv.blocks.length && check.recomputed.length === 0));

/**
 * After a restore, a model with a sliding window computes more of the last tokens again than a freeze sees in memory. The file is whole
 * then, and the engine used all of it: a second save would write the same bytes.
 */
function floorAfterRestore(kv: KvRecord, inspection: Inspection): number | undefined {
  const { verdict, content, restored, measured } = inspection;
  const isRestoredWhole = restored.outcome === 'restored' && areBlocksAsRecorded(kv, inspection);
  if (verdict !== 'partial' || !isRestoredWhole || !isContentConfirmed(content) || !measured) return undefined;
  return mostReusable(measured.reuse, kv.blockTokens);
}

function planAfter(kv: KvRecord, inspection: Inspection): RecordPlan {
  const { verdict, content, canary, canaryGrain, check, measured } = inspection;
  const isPartial = verdict === 'partial';
  const agreedOverStored = canaryGrain === 'exact' && canary?.result === 'agreed' && kv.canaryTokens !== undefined;
  // After a partial thaw, some blocks are of the freeze and some were computed now, and the engine answered from memory: which it
  // takes next time is not known.
  const answeredFromStored =
    verdict === 'rebuilt' ? !check || check.whole.length === 0 : isFull(verdict) && measured?.reuse.tier === 'disk';
  return {
    canary: isPartial && !isContentConfirmed(content) ? 'frozen' : 'sealed',
    prefixes: isPartial ? 'still-reused' : 'sealed',
    grain: agreedOverStored ? 'as-before' : answeredFromStored ? 'as-sealed' : 'coarse',
  };
}

/** Once the whole context was computed under the next salt, the seal is the only measure. */
export const planAfterRebuild: RecordPlan = { canary: 'sealed', prefixes: 'sealed', grain: 'as-sealed' };

/**
 * The result of computing the context under the next salt. `another`: even that answer differs much from the frozen one.
 * `still-reused`: the engine reused KV under a fresh salt, so it ignores salts, and no KV could be given up.
 */
export type Rebuild = 'as-frozen' | 'another' | 'still-reused';

/** Whether later thaws may be compared with KV that was computed again: not after an engine refused a restore and answers differently. */
export const isMeasure = (rebuild: Rebuild, { restored }: Inspection): boolean =>
  rebuild === 'as-frozen' || (rebuild === 'another' && restored.outcome !== 'rejected');

/** The final finding of a thaw. `rounding`: the canary differed only by the rounding of KV that was computed again. */
export type KvFinding = 'kept' | 'damaged' | 'off' | 'rounding';

/** @param isExplained whether a fresh computation is off from the frozen canary by as much as the reused KV was. */
export function findingOf(judgement: Judgement, rebuild: Rebuild, isExplained: () => boolean): KvFinding {
  if (judgement.kind !== 'give-up') return 'kept';
  if (judgement.why === 'in-doubt') return 'rounding';
  if (judgement.why === 'off') return 'off';
  return rebuild === 'as-frozen' && isExplained() ? 'rounding' : 'damaged';
}

const givenUpNote =
  'The answer was another than when it was frozen, so the KV was given up and the context computed again.';

/** The receipt's words for a finding, once the KV was given up. */
const findingNotes: Readonly<Record<KvFinding, readonly string[]>> = {
  kept: [],
  damaged: [],
  off: [givenUpNote],
  rounding: [givenUpNote],
};

const rebuilds: Readonly<Record<Rebuild, { readonly notes: readonly string[]; readonly repair: Repair | null }>> = {
  'as-frozen': { notes: [], repair: 'salt-advanced' },
  another: {
    notes: [
      'Even computed again, the answer differs from the frozen one: other weights are served, the server was started with other options (RoPE, KV type), or it is damaged and needs a restart.',
    ],
    repair: 'salt-advanced',
  },
  'still-reused': {
    notes: [
      'The engine reuses KV under a cache salt that nobody has used, so what it has could not be given up: restart it with an empty cache.',
    ],
    repair: null,
  },
};

/** The notes and the word for the repair. */
export function reportOf(
  finding: KvFinding,
  rebuild: Rebuild,
  { check }: Inspection,
): { readonly notes: readonly string[]; readonly repair: Repair } {
  const deleted: Repair = check && check.damaged.length > 0 ? 'blocks-deleted' : 'none';
  if (finding === 'kept') return { notes: [], repair: deleted };
  const { notes, repair } = rebuilds[rebuild];
  return { notes: [...(repair === null ? [] : findingNotes[finding]), ...notes], repair: repair ?? deleted };
}
