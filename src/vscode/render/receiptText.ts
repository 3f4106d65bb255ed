import type { ContentChecks, Receipt } from '../../protocol/schemas/receipt.ts';
import type { WindowDetails } from '../../protocol/schemas/window.ts';
import { formatBytes, formatCount, formatDuration, formatTokens } from '../../base/format.ts';
import { formatStamp } from './format.ts';
import { verdictWords } from './verdictWords.ts';

type Row = readonly [name: string, value: string];

/** A window's receipts, newest first: plain words on top, what they rest on below. Language `cwm-receipt`. */
export function windowReceiptsText(details: Pick<WindowDetails, 'summary' | 'receipts' | 'lineageWindows'>): string {
  const { summary, receipts } = details;
  const newestFirst = [...receipts].sort((a, b) => b.at.localeCompare(a.at));
  const head = [
    heading(`Window ${summary.name}`, '='),
    ...(summary.description === '' ? [] : [summary.description, '']),
    ...table([
      ['Tokens', formatCount(summary.tokens)],
      ['Model', summary.model],
      ['Engine', summary.engine],
      ['Session', summary.session],
      ['Lineage', details.lineageWindows.join(' > ')],
      ['Tags', summary.tags.join(', ')],
      ['Created', formatStamp(summary.createdAt)],
    ]),
  ];
  const body = newestFirst.length === 0 ? ['', 'Nothing has been measured on this window yet.'] : [];
  return [...head, ...body, ...newestFirst.flatMap((receipt) => ['', receiptText(receipt)])].join('\n').concat('\n');
}

/** One receipt, as text. */
export function receiptText(receipt: Receipt): string {
  const verdict = receipt.verdict === null ? [] : [`Verdict: ${receipt.verdict}${tierWords(receipt)}`];
  const meaning = receipt.verdict === null ? [] : [verdictWords[receipt.verdict].meaning];
  return [
    heading(`${capitalised(receipt.operation)} at ${formatStamp(receipt.at)}`, '-'),
    ...verdict,
    '',
    receipt.summary,
    ...meaning,
    ...receipt.notes.map((note) => `Note: ${note}`),
    '',
    'Evidence',
    ...table([...reuseRows(receipt), ...contentRows(receipt.content), ...costRows(receipt)]),
    ...counterLines(receipt.counters),
  ].join('\n');
}

const reuseSources: Readonly<Record<Receipt['cachedTokensFrom'], string>> = {
  usage: "from the response's usage",
  metrics: "from the server's counters",
  timings: "from the server's timings",
  none: 'nothing was reported',
};

function reuseRows(receipt: Receipt): Row[] {
  const { promptTokens, cachedTokens, floorTokens, blockTokens } = receipt;
  return [
    ['Context', formatTokens(receipt.tokens)],
    ['Prompt tokens', count(promptTokens)],
    [
      'Reused tokens',
      `${cachedTokens === null ? 'not observed' : formatCount(cachedTokens)} (${reuseSources[receipt.cachedTokensFrom]})`,
    ],
    [
      'Most it could reuse',
      floorTokens === null
        ? 'does not apply'
        : `${formatCount(floorTokens)}${blockTokens === null ? '' : ` (blocks of ${formatTokens(blockTokens)})`}`,
    ],
    ['Served from', receipt.tier ?? 'not observed'],
    ['Server otherwise idle', receipt.serverIdle === null ? 'not observed' : receipt.serverIdle ? 'yes' : 'no'],
  ];
}

function contentRows(content: ContentChecks): Row[] {
  const blocks =
    content.checksums === 'not-run'
      ? ''
      : ` (${formatCount(content.blocksChecked)} blocks, ${formatCount(content.blocksHashed)} hashed again, ` +
        `${formatCount(content.blocksDamaged)} damaged, ${formatCount(content.blocksMissing)} missing)`;
  const canary =
    content.canaryDifference === null
      ? ''
      : ` (difference ${nats(content.canaryDifference)}${content.canaryNoise === null ? '' : `, noise of the engine ${nats(content.canaryNoise)}`})`;
  return [
    ['Block checksums', `${content.checksums}${blocks}`],
    ['Canary', `${content.canary}${canary}`],
    ...(content.why === null ? [] : ([['Why not all checks', content.why]] satisfies Row[])),
  ];
}

const repairWords: Readonly<Record<Receipt['repair'], string>> = {
  none: 'none was needed',
  'blocks-deleted': 'damaged blocks were deleted, so that the engine computes them again',
  'salt-advanced': 'the salt got its next generation, so that no request reaches the damaged blocks again',
};

function costRows(receipt: Receipt): Row[] {
  const { kvBytes, kvBytesWritten, timeToFirstTokenMs, expectedPrefillMs, engine } = receipt;
  return [
    ['Repair', repairWords[receipt.repair]],
    ['KV on disk', kvBytes === null ? 'not observed' : formatBytes(kvBytes)],
    ['KV written by this', kvBytesWritten === null ? 'not observed' : formatBytes(kvBytesWritten)],
    ['Time to first token', timeToFirstTokenMs === null ? 'does not apply' : formatDuration(timeToFirstTokenMs)],
    ['Whole operation', formatDuration(receipt.ms)],
    ['Without KV', expectedPrefillMs === null ? 'not known' : `about ${formatDuration(expectedPrefillMs)}`],
    ['Engine', engine === null ? 'none' : `${engine.kind} ${engine.version}`],
    ['Model', engine === null ? 'none' : engine.model],
  ];
}

function counterLines(counters: Receipt['counters']): string[] {
  const names = Object.keys(counters).sort();
  if (names.length === 0) return [];
  return [
    '',
    "Change of the server's counters",
    ...table(names.map((name) => [name, formatCount(counters[name] ?? 0)])),
  ];
}

function table(rows: readonly Row[]): string[] {
  const shown = rows.filter(([, value]) => value !== '');
  const width = Math.max(...shown.map(([name]) => name.length));
  return shown.map(([name, value]) => `  ${name.padEnd(width)}  ${value}`);
}

const heading = (text: string, underline: string): string => `${text}\n${underline.repeat(text.length)}`;
const capitalised = (word: string): string => word.charAt(0).toUpperCase() + word.slice(1);
const tierWords = ({ tier }: Receipt): string => (tier === null ? '' : ` (from ${tier})`);
const count = (value: number | null): string => (value === null ? 'does not apply' : formatCount(value));
const nats = (value: number): string => `${value === 0 ? '0' : value.toPrecision(3)} nats`;
