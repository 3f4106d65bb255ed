import type { ContentChecks } from '../../protocol/schemas/receipt.ts';
import type { BlockCheck } from './blocks.ts';
import type { CanaryCheck } from './canaryCheck.ts';

/** No content check ran, and why. */
export const uncheckedContent = (why: string): ContentChecks => ({
  checksums: 'not-run',
  canary: 'not-run',
  blocksChecked: 0,
  blocksHashed: 0,
  blocksDamaged: 0,
  blocksMissing: 0,
  canaryDifference: null,
  canaryNoise: null,
  why,
});

/** The results of the checks of blocks and canary for a receipt. `unseenWhy` says why no blocks were checked. */
export function contentChecks(
  check: BlockCheck | null,
  canary: CanaryCheck | null,
  unseenWhy: string | null,
): ContentChecks {
  const whys = [check ? null : unseenWhy, canary?.why ?? null].filter((why) => why !== null);
  return {
    ...uncheckedContent(whys.join(' ')),
    ...(check && {
      checksums: check.damaged.length > 0 ? 'disagreed' : check.whole.length > 0 ? 'agreed' : 'not-run',
      blocksChecked: check.checked,
      blocksHashed: check.hashed,
      blocksDamaged: check.damaged.length,
      blocksMissing: check.missing.length,
    }),
    ...(canary && {
      canary: canary.result,
      canaryDifference: finiteOrNull(canary.difference),
      canaryNoise: finiteOrNull(canary.noise),
    }),
    ...(whys.length === 0 && { why: null }),
  };
}

/** JSON has no infinity; that two answers have nothing in common is said by the check's result. */
const finiteOrNull = (value: number | null): number | null => (value !== null && Number.isFinite(value) ? value : null);
