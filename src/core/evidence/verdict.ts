import type { Receipt, Verdict } from '../../protocol/schemas/receipt.ts';
import type { ContextTokens } from '../../protocol/schemas/session.ts';
import { reuseFloor } from './reuse.ts';

/**
 * The knowledge about the content of the reused KV.
 *
 * - `checksums`: every block file that it can have come from has the checksum that was recorded.
 * - `canary`: the engine answered as at the freeze, which some changes of the content do not move ("What each check misses" in `docs/kv-evidence.md`).
 * - `unchecked`: there is nothing to check it against.
 * - `out-of-sight`: the window has a canary, and the engine no longer gives one.
 * - `unconfirmed`: a check ran, and spoke neither for it nor against it.
 * - `disagreed`: it is not what was frozen.
 */
export type ContentEvidence = 'checksums' | 'canary' | 'unchecked' | 'out-of-sight' | 'unconfirmed' | 'disagreed';

/** The observations of one request over the frozen ids. `null` is "not observed". */
export interface RequestEvidence {
  readonly kind: 'request';
  readonly promptTokens: number | null;
  readonly cachedTokens: number | null;
  /**
   * Where the counts came from. Counters of a whole server are no evidence of one request, even if it looked idle: they are
   * shown, and nothing is claimed from them.
   */
  readonly cachedTokensFrom: Receipt['cachedTokensFrom'];
  readonly blockTokens: number | null;
  /** Of this context, as the freeze saw it, where that is less than its blocks allow. */
  readonly mostReusable?: number | undefined;
  /** `damaged`: a block file was bad and deleted before the request. What was reused instead may be whole; the frozen KV was not. */
  readonly files: 'whole' | 'damaged';
  readonly content: ContentEvidence;
  /** `worked-out`: the server did not return the conversation's ids whole, so they were tokenized from its text and may be others. */
  readonly ids: 'exact' | 'worked-out';
  /** `elsewhere`: a part of it may have come with a file, so that checksums say only that it is what came. Default: all was computed here. */
  readonly computed?: 'here' | 'elsewhere';
}

/** The whole evidence of a verdict. */
export type VerdictEvidence =
  | { readonly kind: 'no-answer' }
  /** Model or token ids are not those of the manifest. */
  | { readonly kind: 'another-model' }
  | RequestEvidence;

/** Of a session's or a window's token ids. */
export const idsEvidence = ({ source }: Pick<ContextTokens, 'source'>): RequestEvidence['ids'] =>
  source === 'engine' ? 'exact' : 'worked-out';

/** The one place where evidence becomes a word. Pure and total; it never says `proven` of content without a matching checksum. */
export function decideVerdict(evidence: VerdictEvidence): Verdict {
  switch (evidence.kind) {
    case 'no-answer':
      return 'text-only';
    case 'another-model':
      return 'mismatch';
    case 'request':
      return verdictOfRequest(evidence);
  }
}

function verdictOfRequest(evidence: RequestEvidence): Verdict {
  const { promptTokens, cachedTokens, cachedTokensFrom, blockTokens, mostReusable, files, content, ids, computed } =
    evidence;
  if (promptTokens === null || cachedTokens === null) return 'unobserved';
  if (cachedTokensFrom === 'metrics' || cachedTokensFrom === 'none') return 'unobserved';
  // Content that nobody reused is in question only when the engine itself may be damaged.
  if (content === 'disagreed') return 'damaged';
  if (cachedTokens <= 0) return 'rebuilt';
  // More cached tokens than the prompt has show only a broken counter.
  if (cachedTokens > promptTokens || blockTokens === null) return 'unobserved';
  const floor = reuseFloor(promptTokens, blockTokens, mostReusable);
  if (floor === 0 || cachedTokens < floor || files === 'damaged') return 'partial';
  return content === 'checksums' && ids === 'exact' && computed !== 'elsewhere' ? 'proven' : 'reused';
}
