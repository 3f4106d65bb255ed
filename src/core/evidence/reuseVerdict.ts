import type { Verdict } from '../../protocol/schemas/receipt.ts';
import type { KvRecord } from '../../protocol/schemas/window.ts';
import type { BlockCheck } from './blocks.ts';
import type { CanaryCheck } from './canaryCheck.ts';
import type { Measurement } from '../ports/engine.ts';
import { decideVerdict } from './verdict.ts';
import type { FrozenContext } from './frozenContext.ts';

/** What one request over frozen ids, and what was looked at besides, come to. */
export function verdictOf(
  { description, kv }: FrozenContext,
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
export const restsOnReused = ({ canaryTokens }: KvRecord, first: Measurement | null, reused: Verdict | null): boolean =>
  canaryTokens === undefined ? reused !== 'partial' : (first?.reuse.cachedTokens ?? Infinity) >= canaryTokens - 1;

/** Whether the canary speaks for the content of what was reused, or the checksums of all files that it can have come from. */
export const speaksForContent = (
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
