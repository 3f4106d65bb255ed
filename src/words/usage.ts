import { formatAge, formatBytes, formatCount, formatTokens } from '../base/format.ts';
import type { Usage, WindowUsage } from '../protocol/schemas/space.ts';
import { bytesOfLimit, bytesOrNull, plural } from './amounts.ts';
import type { Row, Table } from './rows.ts';

export interface UsageWords {
  readonly rows: readonly Row[];
  /** Largest KV first; null when there are no windows. */
  readonly windows: Table | null;
}

/** What takes the disk space. Every size is measured, and blocks that several windows share count once. */
export function usageWords(usage: Usage, now: Date): UsageWords {
  const { kv, sessions, windows, reuse } = usage;
  return {
    rows: [
      ['Total', bytesOfLimit(usage.totalBytes, usage.quotaBytes)],
      ['Free on the disk', bytesOrNull(usage.freeBytes)],
      ['KV of the embedded model server', bytesOfLimit(kv.bytes, kv.budgetBytes)],
      ['- of windows', `${formatBytes(kv.windowBytes)}, ${formatBytes(kv.pinnedBytes)} of it pinned`],
      ['- of no window', formatBytes(kv.looseBytes)],
      ['Records of sessions and windows', formatBytes(usage.recordBytes)],
      ['Trash', formatBytes(usage.trashBytes)],
      ['Quarantine', formatBytes(usage.quarantineBytes)],
      ['Index, logs, models', formatBytes(usage.otherBytes)],
      ['KV on other model servers, as recorded', formatBytes(kv.elsewhereBytes)],
      ['Sessions', `${formatCount(sessions.count)} of at most ${formatCount(sessions.hard)}`],
      ['Windows', `${formatCount(windows.count)} of at most ${formatCount(windows.hard)}`],
      ['Reused in thaws', reuseWords(reuse)],
    ],
    windows: usage.items.length === 0 ? null : windowsTable(usage.items, now),
  };
}

const reuseWords = ({ thaws, promptTokens, cachedTokens }: Usage['reuse']): string =>
  thaws === 0
    ? 'no thaw was observed yet'
    : `${formatTokens(cachedTokens)} of ${formatCount(promptTokens)}, in ${plural(thaws, 'thaw')}`;

const unseen = 'not observed';

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
