import type { Command } from 'commander';
import type { RouteOutput } from '../../protocol/api.ts';
import type { PruneResult, TrashItem, Usage } from '../../protocol/schemas/space.ts';
import type { Perform } from '../action.ts';
import { amount, wholeNumber } from '../arguments.ts';
import { formatAge, formatBytes, formatCount } from '../../base/format.ts';
import { formatFacts, formatTable, orUnknown, plural } from '../terminal/layout.ts';
import { withCommonOptions } from '../run.ts';

interface PruneOptions {
  readonly olderThan?: number;
  readonly keep?: number;
  readonly dryRun?: boolean;
}

export function registerSpace(program: Command, perform: Perform): void {
  withCommonOptions(program.command('usage'))
    .description('show where the space goes: of all, and of each window, what it shares counted once')
    .action((common: object) =>
      perform(common, async (run) => run.print(await run.call('usage', {}, 'Measuring'), usageInWords)),
    );

  withCommonOptions(program.command('prune'))
    .description('move windows to the trash that were not used for long, and free the KV that only they had')
    .option('--older-than <days>', 'those not used for so many days', amount)
    .option('--keep <n>', 'leave the n that were used last', wholeNumber(0))
    .option('--dry-run', 'only show what would go')
    .action(({ olderThan, keep, dryRun, ...common }: PruneOptions) =>
      perform(common, async (run) => {
        const input = { olderThanDays: olderThan, keep, dryRun };
        run.print(await run.call('prune', input, dryRun ? 'Measuring' : 'Pruning'), prunedInWords);
      }),
    );

  for (const [command, pinned, what] of [
    ['pin', true, 'keep the KV of a window, whatever the budget, and never prune it'],
    ['unpin', false, 'let the KV of a window go again when the budget wants it'],
  ] as const) {
    withCommonOptions(program.command(command))
      .description(what)
      .argument('<window>', "the window's name")
      .action((window: string, common: object) =>
        perform(common, async (run) => run.print(await run.call('pinWindow', { window, pinned }), pinnedInWords)),
      );
  }

  const trash = program
    .command('trash')
    .description('look through what was deleted, take it back, or remove it for good');
  withCommonOptions(trash.command('list'))
    .description('list what can still be had back')
    .action((common: object) =>
      perform(common, async (run) => run.print(await run.call('listTrash', {}), ({ items }) => trashInWords(items))),
    );
  withCommonOptions(trash.command('restore'))
    .description('take a session or window back, as it was')
    .argument('<item>', 'its id, as "cwm trash list" shows it')
    .action((item: string, common: object) =>
      perform(common, async (run) =>
        run.print(await run.call('restoreFromTrash', { item }), ({ kind, name }) => `Restored ${kind} ${name}.`),
      ),
    );
  withCommonOptions(trash.command('empty'))
    .description('remove for good what was deleted more than seven days ago')
    .option('--all', 'and everything else in it')
    .action(({ all, ...common }: { all?: boolean }) =>
      perform(common, async (run) =>
        run.print(
          await run.call('emptyTrash', { all }, 'Emptying'),
          ({ items, bytesFreed }) =>
            `Removed ${plural(items.length, 'thing')} for good, ${formatBytes(bytesFreed)} freed.`,
        ),
      ),
    );
}

const ofLimit = (bytes: number, limitBytes: number | null): string =>
  limitBytes === null ? formatBytes(bytes) : `${formatBytes(bytes)} of at most ${formatBytes(limitBytes)}`;

function usageInWords(usage: Usage): string {
  const { kv, sessions, windows, items } = usage;
  const now = new Date();
  const facts = formatFacts([
    [
      'all',
      `${ofLimit(usage.totalBytes, usage.quotaBytes)}, ${orUnknown(usage.freeBytes, formatBytes)} free on the disk`,
    ],
    ['KV', ofLimit(kv.bytes, kv.budgetBytes)],
    ['  of windows', `${formatBytes(kv.windowBytes)}, ${formatBytes(kv.pinnedBytes)} of it pinned`],
    ['  of no window', formatBytes(kv.looseBytes)],
    ['records', formatBytes(usage.recordBytes)],
    ['trash', formatBytes(usage.trashBytes)],
    ['quarantine', usage.quarantineBytes === 0 ? null : formatBytes(usage.quarantineBytes)],
    ['other', formatBytes(usage.otherBytes)],
    ['elsewhere', kv.elsewhereBytes === 0 ? null : `${formatBytes(kv.elsewhereBytes)} of KV with other engines`],
    ['sessions', `${formatCount(sessions.count)} of at most ${formatCount(sessions.hard)}`],
    ['windows', `${formatCount(windows.count)} of at most ${formatCount(windows.hard)}`],
    ['reuse', reuseInWords(usage.reuse)],
  ]);
  if (items.length === 0) return facts;
  const table = formatTable(
    ['WINDOW', 'KV', 'ITS OWN', 'SHARED', 'GONE', 'RECORDS', 'USED', 'PINNED'],
    items.map(({ name, kv, recordBytes, lastUsedAt, pinned }) => [
      name,
      kv === null ? '' : formatBytes(kv.bytes),
      kv === null ? '' : formatBytes(kv.uniqueBytes),
      kv === null ? '' : formatBytes(kv.sharedBytes),
      kv === null || kv.missingBlocks === 0 ? '' : plural(kv.missingBlocks, 'block'),
      formatBytes(recordBytes),
      formatAge(lastUsedAt, now),
      pinned ? 'pinned' : '',
    ]),
  );
  return `${facts}\n${table}`;
}

const reuseInWords = ({ thaws, promptTokens, cachedTokens }: Usage['reuse']): string | null =>
  thaws === 0
    ? null
    : `${formatCount(cachedTokens)} of the ${plural(promptTokens, 'token')} of ${plural(thaws, 'thaw')} were not computed again`;

function prunedInWords({ dryRun, windows, blocks, bytesFreed, bytesToTrash, elsewhere }: PruneResult): string {
  if (windows.length === 0) return 'No window is to be pruned.';
  const now = new Date();
  const table = formatTable(
    ['WINDOW', 'TOKENS', 'RECORDS', 'USED'],
    windows.map(({ name, tokens, recordBytes, lastUsedAt }) => [
      name,
      formatCount(tokens),
      formatBytes(recordBytes),
      formatAge(lastUsedAt, now),
    ]),
  );
  const [would, frees] = dryRun ? ['would go', 'would free'] : ['went', 'freed'];
  return [
    `${plural(windows.length, 'window')} ${would} to the trash (${formatBytes(bytesToTrash)} for seven days).`,
    `Deleting ${plural(blocks, 'block')} of KV that nobody else needs ${frees} ${formatBytes(bytesFreed)}.`,
    ...(elsewhere === 0
      ? []
      : [`KV of ${plural(elsewhere, 'window')} is with other engines, which are asked to delete it.`]),
    table,
  ].join('\n');
}

const pinnedInWords = ({ window, pinned }: RouteOutput<'pinWindow'>): string =>
  pinned ? `Window ${window} is pinned: its KV stays.` : `Window ${window} is no longer pinned.`;

function trashInWords(items: readonly TrashItem[]): string {
  if (items.length === 0) return 'The trash is empty.';
  const now = new Date();
  return formatTable(
    ['ITEM', 'KIND', 'NAME', 'SIZE', 'DELETED', 'REMOVED AFTER'],
    items.map(({ id, kind, name, sizeBytes, deletedAt, expiresAt }) => [
      id,
      kind,
      name,
      formatBytes(sizeBytes),
      formatAge(deletedAt, now),
      expiresAt,
    ]),
  );
}
