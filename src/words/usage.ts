import { formatAge, formatBytes, formatCount, formatTokens } from '../base/format.ts';
import { readableLine } from '../base/readableText.ts';
import type { Cost, TokensTaken } from '../protocol/schemas/session.ts';
import type { ProjectUsage, TokenSums, TokenUsage, Usage, WindowUsage } from '../protocol/schemas/space.ts';
import type { UsageGroup } from '../protocol/settings/usageGroups.ts';
import { bytesOfLimit, bytesOrNull, folderWords, plural } from './amounts.ts';
import type { Row, Table } from './rows.ts';

export interface UsageWords {
  readonly rows: readonly Row[];
  /** Largest KV first; null when there are no windows. */
  readonly windows: Table | null;
  /** Largest first; null where nothing is stored. */
  readonly projects: Table | null;
}

/** What takes the disk space. Every size is measured, and blocks that several windows share count once. */
export function usageWords(usage: Usage, now: Date): UsageWords {
  const { kv, sessions, windows, reuse } = usage;
  // The budget counts checkpoints, and nothing that is out of reach: no sum here is what it compares.
  const ofAll = kv.isBudgetOfAllEngines === true ? kv.budgetBytes : null;
  return {
    rows: [
      ['Total', bytesOfLimit(usage.totalBytes, usage.quotaBytes)],
      ['Free on the disk', bytesOrNull(usage.freeBytes)],
      ['KV', formatBytes(kv.bytes + kv.elsewhereBytes)],
      ['- of the embedded model server', ofAll ? formatBytes(kv.bytes) : bytesOfLimit(kv.bytes, kv.budgetBytes)],
      ['- of windows', `${formatBytes(kv.windowBytes)}, ${formatBytes(kv.pinnedBytes)} of it pinned`],
      ['- of no window', formatBytes(kv.looseBytes)],
      ['- on other model servers, as windows and checkpoints recorded it', formatBytes(kv.elsewhereBytes)],
      ...(ofAll ? [['Budget for KV of all model servers', formatBytes(ofAll)] as const] : []),
      ['Records of sessions and windows', formatBytes(usage.recordBytes)],
      ['Trash', formatBytes(usage.trashBytes)],
      ['Quarantine', formatBytes(usage.quarantineBytes)],
      ['Index, logs, models', formatBytes(usage.otherBytes)],
      ['Sessions', `${formatCount(sessions.count)} of at most ${formatCount(sessions.hard)}`],
      ['Windows', `${formatCount(windows.count)} of at most ${formatCount(windows.hard)}`],
      ['Reused in thaws', reuseWords(reuse)],
    ],
    windows: usage.items.length === 0 ? null : windowsTable(usage.items, now),
    projects: usage.projects?.length ? projectsTable(usage.projects, now) : null,
  };
}

const reuseWords = ({ thaws, promptTokens, cachedTokens }: Usage['reuse']): string =>
  thaws === 0
    ? 'no thaw was observed yet'
    : `${formatTokens(cachedTokens)} of ${formatCount(promptTokens)}, in ${plural(thaws, 'thaw')}`;

const unseen = 'not observed';

const projectsTable = (projects: readonly ProjectUsage[], now: Date): Table => ({
  head: ['Project', 'Sessions', 'Windows', 'KV', 'KV elsewhere', 'Records', 'Used'],
  rows: projects.map((row) => [
    row.project === null ? 'no project' : folderWords(row.project),
    formatCount(row.sessions),
    formatCount(row.windows),
    formatBytes(row.kvBytes),
    formatBytes(row.elsewhereBytes),
    formatBytes(row.recordBytes),
    formatAge(row.lastUsedAt, now),
  ]),
});

function windowsTable(items: readonly WindowUsage[], now: Date): Table {
  const largestFirst = [...items].sort((a, b) => (b.kv?.bytes ?? 0) - (a.kv?.bytes ?? 0));
  return {
    head: ['Window', 'KV', 'Its own', 'Shared', 'Missing', 'Records', 'Used', 'Pinned'],
    rows: largestFirst.map(({ name, pinned, kv, recordBytes, lastUsedAt }) => [
      name,
      bytesOrNull(kv?.bytes ?? null) ?? unseen,
      bytesOrNull(kv?.uniqueBytes ?? null) ?? unseen,
      bytesOrNull(kv?.sharedBytes ?? null) ?? unseen,
      kv === null || kv.missingBlocks === 0 ? '' : plural(kv.missingBlocks, 'block'),
      formatBytes(recordBytes),
      formatAge(lastUsedAt, now),
      pinned ? 'pinned' : '',
    ]),
  };
}

/** The tokens that one answer took, as far as the model server counted them; empty when it counted none. */
export function takenSentence({ promptTokens, cachedTokens, outputTokens }: TokensTaken, cost?: Cost | null): string {
  const reused = cachedTokens === null ? '' : `, ${formatCount(cachedTokens)} of them reused`;
  const parts = [
    ...(promptTokens === null ? [] : [`${formatTokens(promptTokens)} sent${reused}`]),
    ...(outputTokens === null ? [] : [`${formatCount(outputTokens)} generated`]),
    ...(cost ? [`cost ${formatCost(cost.amount, cost.currency)}`] : []),
  ];
  return parts.length === 0 ? '' : `${parts.join('; ')}.`;
}

interface TokenUsageWords {
  /** Null when nothing was asked of a model server. */
  readonly table: Table | null;
  /** What the figures lack, and what to do. */
  readonly notes: readonly string[];
}

const groupNames: Readonly<Record<UsageGroup, string>> = {
  session: 'Session',
  source: 'Client',
  model: 'Model',
  day: 'Day',
  branch: 'Branch',
  turn: 'Turn',
};

const sourceNames: Readonly<Record<string, string>> = {
  vscode: 'VS Code',
  cli: 'command line',
  http: 'API on TCP',
  mcp: 'MCP',
  gateway: 'gateway',
  backend: 'the backend itself',
  unnamed: 'a client without a name',
};

/** Tokens that turns took, and what they cost. */
export function tokenUsageWords(usage: TokenUsage): TokenUsageWords {
  const { by, total, items, count, hasMore, unpriced, currency } = usage;
  const hasCosts = [total, ...items].some(({ cost }) => cost !== null);
  const cells = (sums: TokenSums): string[] => [...sumCells(sums), ...(hasCosts ? [costCell(sums, currency)] : [])];
  const rows = items.map((item) => [nameOfGroup(by, item), ...cells(item)]);
  const all = count > 1 ? [['All', ...cells(total)]] : [];
  const head = [
    groupNames[by],
    'Requests',
    'Prompted',
    'Reused',
    'Computed',
    'Generated',
    ...(hasCosts ? ['Cost'] : []),
  ];
  const names = unpriced.map((model) => `"${model}"`).join(', ');
  return {
    table: items.length === 0 ? null : { head, rows: [...rows, ...all] },
    notes: [
      ...(items.length === 0 ? ['No turn has used a model server in this time.'] : []),
      ...(hasMore ? [`${formatCount(items.length)} of ${formatCount(count)} are shown.`] : []),
      ...(total.untoldTokens > 0
        ? [`Of ${formatTokens(total.untoldTokens)} of prompts, no model server said whether it reused them.`]
        : []),
      ...(total.uncounted > 0
        ? [
            `The tokens of ${plural(total.uncounted, 'request')} are not known: answers that were cut, or a model server that counts none.`,
          ]
        : []),
      ...(unpriced.length > 0
        ? [
            hasCosts
              ? `Without a price: ${names}. Prices for a million tokens go into ${usage.pricesFile}.`
              : `For costs, write prices for a million tokens into ${usage.pricesFile}.`,
          ]
        : []),
      ...usage.notes,
    ],
  };
}

function nameOfGroup(by: UsageGroup, { name, title }: TokenUsage['items'][number]): string {
  if (by === 'source') return sourceNames[name] ?? name;
  if (by === 'turn') return title ? readableLine(title) : 'before your first message';
  if (by !== 'session') return name;
  if (title === null) return `${name} (deleted)`;
  return title === undefined || title === name ? name : `${title} (${name})`;
}

const unknown = 'not known';

const sumCells = (sums: TokenSums): string[] => [
  formatCount(sums.requests),
  ...[sums.promptTokens, sums.cachedTokens, sums.computedTokens, sums.outputTokens].map((tokens) =>
    tokens === null ? unknown : formatCount(tokens),
  ),
];

const costCell = ({ cost }: TokenSums, currency: string | null): string =>
  cost === null ? unknown : formatCost(cost, currency);

/** In words; null: not known. */
export const costWords = (cost: Cost | null | undefined): string | null =>
  cost ? formatCost(cost.amount, cost.currency) : null;

/** Cents where it is more than one, else so many digits that it does not look like nothing. */
function formatCost(cost: number, currency: string | null): string {
  const digits = cost === 0 || cost >= 1 ? 2 : Math.min(8, 2 - Math.floor(Math.log10(cost)));
  return [cost.toFixed(digits), ...(currency === null ? [] : [currency])].join(' ');
}
