import type { Receipt, Verdict } from '../../../protocol/schemas/receipt.ts';

/** What was computed to bring KV back. */
export interface Computed {
  readonly tokens: number;
  /** What that took, in milliseconds. */
  readonly ms: number;
  /** In words, without a full stop. */
  readonly why: string;
}

/** Of these, more than the minimum was computed. */
const computing: ReadonlySet<string> = new Set<Verdict>(['rebuilt', 'partial', 'damaged']);

/** @returns null where the KV was only loaded, or nobody knows what was computed. */
export function computedFor(receipt: Receipt): Computed | null {
  const { verdict, promptTokens, cachedTokens, timeToFirstTokenMs, ms } = receipt;
  if (verdict === null || !computing.has(verdict) || promptTokens === null) return null;
  const tokens = promptTokens - (cachedTokens ?? 0);
  return tokens > 0 ? { tokens, ms: timeToFirstTokenMs ?? ms, why: whyOf(receipt) } : null;
}

function whyOf({ verdict, content, summary }: Receipt): string {
  if (content.blocksDamaged > 0) return 'its slot file was damaged';
  if (content.blocksMissing > 0) return 'its slot file was missing or could not be used';
  // Its file was as it had been written, and a fresh computation may be off as much.
  if (verdict === 'damaged') return 'the model server answered from it otherwise than when it was saved';
  return summary.replace(/\.$/, '');
}
