import type { ContentChecks, Receipt } from '../protocol/schemas/receipt.ts';
import { formatBytes, formatCount, formatDuration } from '../base/format.ts';
import { formatFacts } from './terminal/layout.ts';

/** What was done in plain words, then what that rests on. */
export function receiptInWords(receipt: Receipt): string {
  const { session, window, verdict, tier, engine, expectedPrefillMs, kvBytes, kvBytesWritten } = receipt;
  return [
    receipt.summary,
    formatFacts([
      ['window', window],
      ['session', session],
      ['verdict', verdict === null ? null : tier === null ? verdict : `${verdict} (${tier})`],
      ['tokens', formatCount(receipt.tokens)],
      ['reused', reuseInWords(receipt)],
      ['content', contentInWords(receipt.content)],
      ['KV', kvBytes === null ? null : `${formatBytes(kvBytes)} on disk, ${formatBytes(kvBytesWritten ?? 0)} written`],
      ['repair', receipt.repair === 'none' ? null : receipt.repair.replace('-', ' ')],
      ['took', formatDuration(receipt.ms)],
      ['without KV', expectedPrefillMs === null ? null : `about ${formatDuration(expectedPrefillMs)}`],
      ['engine', engine === null ? null : `${engine.kind} ${engine.version}, ${engine.model}`],
    ]),
    ...receipt.notes.map((note) => `  · ${note}`),
  ].join('\n');
}

function reuseInWords({ promptTokens, cachedTokens, floorTokens, cachedTokensFrom }: Receipt): string | null {
  if (promptTokens === null) return null;
  if (cachedTokens === null) return 'the engine does not say';
  const floor = floorTokens === null ? '' : `, at most ${formatCount(floorTokens)} could be`;
  return `${formatCount(cachedTokens)} of ${formatCount(promptTokens)} (by the engine's ${cachedTokensFrom})${floor}`;
}

function contentInWords(content: ContentChecks): string | null {
  const { checksums, canary, blocksChecked, blocksDamaged, blocksMissing, canaryDifference } = content;
  const parts = [
    checksums === 'not-run' ? null : `checksums of ${formatCount(blocksChecked)} blocks ${checksums}`,
    blocksDamaged > 0 ? `${formatCount(blocksDamaged)} damaged` : null,
    blocksMissing > 0 ? `${formatCount(blocksMissing)} missing` : null,
    canary === 'not-run' ? null : `canary ${canary}`,
    canaryDifference === null ? null : `difference ${canaryDifference} nats`,
  ].filter((part) => part !== null);
  if (parts.length === 0) return content.why === null ? null : `not checked: ${content.why}`;
  return parts.join(', ');
}
