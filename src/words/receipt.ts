import { formatBytes, formatCount, formatDuration, formatTokens } from '../base/format.ts';
import { ofWord, type OtherWord } from '../protocol/schemas/otherWord.ts';
import type { CheckResult, ContentChecks, Receipt } from '../protocol/schemas/receipt.ts';
import { bytesOrNull, capitalised, formatStamp, plural } from './amounts.ts';
import { type Row, rowIf } from './rows.ts';
import { asVerdict, verdictWords } from './verdicts.ts';

/** A receipt in words: the result in sentences, then the evidence it rests on. */
export interface ReceiptWords {
  /** `Thaw at 2026-11-20 10:00:00 UTC` */
  readonly heading: string;
  /** `proven (from disk)`; null for an operation that measures nothing. */
  readonly verdict: string | null;
  /** What was done, and what the verdict means. */
  readonly sentences: readonly string[];
  /** Notes on what the user may want to change. */
  readonly notes: readonly string[];
  readonly evidence: readonly Row[];
  /** How the model server's own counters changed. */
  readonly counters: readonly Row[];
}

export function receiptWords(receipt: Receipt): ReceiptWords {
  const { verdict, tier, counters } = receipt;
  const known = asVerdict(verdict);
  return {
    heading: `${capitalised(receipt.operation)} at ${formatStamp(receipt.at)}`,
    verdict: verdict === null ? null : `${verdict}${tier === null ? '' : ` (from ${tier})`}`,
    sentences: [receipt.summary, ...(known === null ? [] : [verdictWords[known].meaning])],
    notes: receipt.notes,
    evidence: [
      ['Context', formatTokens(receipt.tokens)],
      // A clone asks no model server, so nothing about one applies to it.
      ...(receipt.operation === 'clone' ? [] : [...reuseRows(receipt), ...contentRows(receipt.content)]),
      ...costRows(receipt),
    ],
    counters: Object.keys(counters)
      .sort()
      .map((name) => [name, formatCount(counters[name] ?? 0)]),
  };
}

const reuseSources: Readonly<Record<Exclude<Receipt['cachedTokensFrom'], OtherWord>, string>> = {
  usage: "from the response's usage",
  events: "by the engine's block events",
  metrics: "from the server's counters",
  timings: "from the server's timings",
  none: 'nothing was reported',
};

function reuseRows(receipt: Receipt): Row[] {
  const { promptTokens, cachedTokens, floorTokens, blockTokens, serverIdle } = receipt;
  const reused = cachedTokens === null ? 'not observed' : formatCount(cachedTokens);
  const blocks = blockTokens === null ? '' : ` (blocks of ${formatTokens(blockTokens)})`;
  return [
    ['Prompt tokens', promptTokens === null ? null : formatCount(promptTokens)],
    [
      'Reused tokens',
      promptTokens === null
        ? null
        : `${reused} (${ofWord(reuseSources, receipt.cachedTokensFrom) ?? receipt.cachedTokensFrom}${eventBlocks(receipt)})`,
    ],
    ['Reusable at most', floorTokens === null ? null : `${formatCount(floorTokens)}${blocks}`],
    ['Served from', receipt.tier],
    ['Server otherwise idle', serverIdle === null ? null : serverIdle ? 'yes' : 'no'],
  ];
}

/** How many blocks the events named. */
const eventBlocks = ({ cachedTokensFrom, cachedTokens, blockTokens }: Receipt): string =>
  cachedTokensFrom === 'events' && cachedTokens !== null && blockTokens !== null
    ? `: ${plural(Math.floor(cachedTokens / blockTokens), 'block')}`
    : '';

const checkWords: Readonly<Record<CheckResult, string>> = {
  agreed: 'agreed',
  disagreed: 'disagreed',
  'not-run': 'not run',
};

function contentRows(content: ContentChecks): Row[] {
  const { checksums, canaryDifference, canaryNoise } = content;
  const blocks =
    checksums === 'not-run'
      ? ''
      : ` (${plural(content.blocksChecked, 'block')}, ${formatCount(content.blocksHashed)} hashed again, ` +
        `${formatCount(content.blocksDamaged)} damaged, ${formatCount(content.blocksMissing)} missing)`;
  const noise = canaryNoise === null ? '' : `, noise of the model server ${nats(canaryNoise)}`;
  const difference = canaryDifference === null ? '' : ` (difference ${nats(canaryDifference)}${noise})`;
  return [
    ['Block checksums', `${ofWord(checkWords, checksums) ?? checksums}${blocks}`],
    ['Canary', `${ofWord(checkWords, content.canary) ?? content.canary}${difference}`],
    ...rowIf('Why a check did not run', content.why),
  ];
}

const repairWords: Readonly<Record<Exclude<Receipt['repair'], OtherWord>, string>> = {
  none: 'none was needed',
  'blocks-deleted': 'damaged blocks were deleted, so that the model server computes them again',
  'salt-advanced': 'the salt has a new generation, so that no request reaches the damaged blocks',
};

function costRows(receipt: Receipt): Row[] {
  const { kvBytes, kvBytesWritten, timeToFirstTokenMs, expectedPrefillMs, engine } = receipt;
  const took: Row = ['Whole operation', formatDuration(receipt.ms)];
  if (receipt.operation === 'clone') return [['KV written', formatBytes(kvBytesWritten ?? 0)], took];
  return [
    ['Repair', ofWord(repairWords, receipt.repair) ?? receipt.repair],
    ['KV on disk', bytesOrNull(kvBytes)],
    ['KV written now', bytesOrNull(kvBytesWritten)],
    ['Time to first token', timeToFirstTokenMs === null ? null : formatDuration(timeToFirstTokenMs)],
    took,
    ['Time without KV', expectedPrefillMs === null ? null : `about ${formatDuration(expectedPrefillMs)}`],
    ['Model server', engine === null ? null : `${engine.kind} ${engine.version}`],
    ['Model', engine?.model ?? null],
  ];
}

const nats = (value: number): string => `${value === 0 ? '0' : value.toPrecision(3)} nats`;
