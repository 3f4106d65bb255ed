import type { PruneResult, Usage, WindowUsage } from '../../protocol/schemas/space.ts';
import { formatAge, formatBytes, formatCount, formatTokens } from '../../base/format.ts';
import { markdownTable, plain } from './markdown.ts';

/** Where the space goes, as markdown. Every size is measured, and what windows share counts once. */
export function usageReport(usage: Usage, now: Date): string {
  const { kv, sessions, windows, reuse } = usage;
  const of = (limit: number | null): string => (limit === null ? '' : ` of at most ${formatBytes(limit)}`);
  const rows: [string, string][] = [
    ['KV of the embedded engine', `${formatBytes(kv.bytes)}${of(kv.budgetBytes)}`],
    ['– of windows', `${formatBytes(kv.windowBytes)}, ${formatBytes(kv.pinnedBytes)} of them pinned`],
    ['– of no window', formatBytes(kv.looseBytes)],
    ['Sessions and windows', formatBytes(usage.recordBytes)],
    ['Trash', formatBytes(usage.trashBytes)],
    ['Quarantine', formatBytes(usage.quarantineBytes)],
    ['Index, logs, models', formatBytes(usage.otherBytes)],
    ['**All of it**', `**${formatBytes(usage.totalBytes)}**${of(usage.quotaBytes)}`],
    ['Free on the disk', usage.freeBytes === null ? 'not known' : formatBytes(usage.freeBytes)],
    ['KV with other engines, as recorded', formatBytes(kv.elsewhereBytes)],
    ['Sessions', `${formatCount(sessions.count)} of at most ${formatCount(sessions.hard)}`],
    ['Windows', `${formatCount(windows.count)} of at most ${formatCount(windows.hard)}`],
    ['Reused in thaws', reuse.thaws === 0 ? 'no thaw was observed yet' : reuseInWords(reuse)],
  ];
  return [
    '# Space',
    markdownTable(['What', 'Size'], rows),
    ...(usage.items.length === 0 ? [] : ['## Windows', windowsTable(usage.items, now)]),
    'To make room: *Context Windows: Prune Windows*, *Empty Trash*. A pinned window keeps its KV.\n',
  ].join('\n\n');
}

const reuseInWords = ({ thaws, promptTokens, cachedTokens }: Usage['reuse']): string =>
  `${formatTokens(cachedTokens)} of ${formatCount(promptTokens)}, in ${formatCount(thaws)} ${thaws === 1 ? 'thaw' : 'thaws'}`;

function windowsTable(items: readonly WindowUsage[], now: Date): string {
  const size = (bytes: number | undefined): string => (bytes === undefined ? 'not observed' : formatBytes(bytes));
  const largestFirst = [...items].sort((a, b) => (b.kv?.bytes ?? 0) - (a.kv?.bytes ?? 0));
  return markdownTable(
    ['Window', 'KV', 'its own', 'shared', 'Records', 'Used'],
    largestFirst.map(({ name, pinned, kv, recordBytes, lastUsedAt }) => [
      `${plain(name)}${pinned ? ' (pinned)' : ''}`,
      size(kv?.bytes),
      size(kv?.uniqueBytes),
      size(kv?.sharedBytes),
      formatBytes(recordBytes),
      formatAge(lastUsedAt, now),
    ]),
  );
}

const shownNames = 10;

/** What a prune would do, for the question whether to. */
export function prunePreview({ windows, blocks, bytesFreed, bytesToTrash, elsewhere }: PruneResult): string {
  const names = windows.slice(0, shownNames).map(({ name }) => name);
  const more = windows.length - names.length;
  return [
    `${names.join(', ')}${more > 0 ? ` and ${formatCount(more)} more` : ''}.`,
    `Their records go to the trash for seven days (${formatBytes(bytesToTrash)}).`,
    `${formatBytes(bytesFreed)} are freed at once: ${formatCount(blocks)} KV blocks that nobody else needs.`,
    ...(elsewhere === 0
      ? []
      : [`KV of ${formatCount(elsewhere)} windows is with other engines, which are asked to delete it.`]),
  ].join(' ');
}
