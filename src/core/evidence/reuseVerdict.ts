import type { Verdict } from '../../protocol/schemas/receipt.ts';
import type { KvRecord } from '../../protocol/schemas/window.ts';
import type { BlockCheck } from './blocks.ts';
import type { CanaryCheck } from './canaryCheck.ts';
import type { FrozenContext } from './frozenContext.ts';
import type { Measurement } from '../ports/engine.ts';
import { decideVerdict, idsEvidence, type ContentEvidence } from './verdict.ts';

/** What one request over frozen ids, and what was looked at besides, come to. */
export function verdictOf(
  { description, kv, manifest }: FrozenContext,
  measured: Measurement,
  check: BlockCheck | null,
  canary: CanaryCheck | null,
  computed: 'here' | 'elsewhere' = 'here',
): Verdict {
  const { promptTokens, cachedTokens, cachedTokensFrom } = measured.reuse;
  return decideVerdict({
    kind: 'request',
    promptTokens,
    cachedTokens,
    cachedTokensFrom,
    // Blocks of another size have other hashes: a server that tells one now and reuses them contradicts itself.
    blockTokens: kv.blockTokens === null || kv.blockTokens === description.blockTokens ? description.blockTokens : null,
    mostReusable: kv.mostReusable,
    files: check !== null && check.damaged.length > 0 ? 'damaged' : 'whole',
    content: contentEvidence(kv, measured, check, canary),
    ids: idsEvidence(manifest.tokens),
    computed,
  });
}

/** The judgement of canary and checksums on the reused KV. Bad files were deleted before the request. */
export function contentEvidence(
  kv: KvRecord,
  measured: Measurement,
  check: BlockCheck | null,
  canary: CanaryCheck | null,
): ContentEvidence {
  if (canary?.result === 'disagreed') return 'disagreed';
  if (areFilesWhole(kv, measured, check)) return 'checksums';
  if (canary?.result === 'agreed') return 'canary';
  if (kv.canary !== null && measured.canary === null) return 'out-of-sight';
  const hasCheckRun = (kv.canary !== null && canary !== null) || (check?.whole.length ?? 0) > 0;
  return hasCheckRun ? 'unconfirmed' : 'unchecked';
}

/** Whether all the KV that the canary rests on was reused, as far as the engine tells. */
export const restsOnReused = ({ canaryTokens }: KvRecord, first: Measurement | null, reused: Verdict | null): boolean =>
  canaryTokens === undefined ? reused !== 'partial' : (first?.reuse.cachedTokens ?? Infinity) >= canaryTokens - 1;

/** Whether every file that the reused KV can have come from is whole. */
const areFilesWhole = (kv: KvRecord, { reuse }: Measurement, check: BlockCheck | null): boolean =>
  check !== null &&
  Math.min(wholeTokens(kv, check, reuse), check.unrecordedFrom ?? Infinity) >= (reuse.cachedTokens ?? 0);

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
