import type { CheckResult, Receipt, Verdict } from '../../protocol/schemas/receipt.ts';
import { reuseFloor } from './reuse.ts';

/** All that a verdict rests on. `null` is "not observed". */
export interface VerdictEvidence {
  /** False when no engine answered. */
  readonly reachable: boolean;
  /** False when model or token ids are not those of the manifest. */
  readonly sameIdentity: boolean;
  readonly promptTokens: number | null;
  readonly cachedTokens: number | null;
  readonly blockTokens: number | null;
  /** Whether the KV that was *reused* is what was frozen. A block that was found bad and deleted beforehand was not reused. */
  readonly reusedChecksums: CheckResult;
  readonly canary: CheckResult;
  /** A block file was found bad and deleted before the request. What was reused instead may be whole; the frozen KV was not. */
  readonly isDamageFound: boolean;
  /**
   * Where the counts came from. Counters of a whole server are no evidence of one request, even if it looked idle: they are
   * shown, and nothing is claimed from them.
   */
  readonly cachedTokensFrom: Receipt['cachedTokensFrom'];
  /** The window has a canary, the engine no longer gives one, and no checksum stands in for it. */
  readonly isContentOutOfSight: boolean;
  /** The window has a canary, but it was taken over KV of which some was computed again, it did not answer the same, and no checksum stands in for it. */
  readonly isContentUnconfirmed: boolean;
}

/** The one place where evidence becomes a word. Pure and total; it never says `proven` when anything disagreed or was not seen. */
export function decideVerdict(evidence: VerdictEvidence): Verdict {
  const { reachable, sameIdentity, promptTokens, cachedTokens, blockTokens, reusedChecksums, canary } = evidence;
  if (!reachable) return 'text-only';
  if (!sameIdentity) return 'mismatch';
  if (promptTokens === null || cachedTokens === null) return 'unobserved';
  if (evidence.cachedTokensFrom === 'metrics' || evidence.cachedTokensFrom === 'none') return 'unobserved';
  // Over recomputed KV a canary is asked only when the engine itself may be damaged.
  if (cachedTokens <= 0) return canary === 'disagreed' ? 'damaged' : 'rebuilt';
  if (reusedChecksums === 'disagreed' || canary === 'disagreed') return 'damaged';
  if (evidence.isContentOutOfSight) return 'unobserved';
  // More cached than there were tokens is no evidence of anything but a broken counter.
  if (cachedTokens > promptTokens || blockTokens === null) return 'unobserved';
  const floor = reuseFloor(promptTokens, blockTokens);
  if (floor === 0 || cachedTokens < floor || evidence.isDamageFound) return 'partial';
  return evidence.isContentUnconfirmed ? 'unobserved' : 'proven';
}
