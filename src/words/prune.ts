import { formatAge, formatBytes, formatCount } from '../base/format.ts';
import type { PruneResult } from '../protocol/schemas/space.ts';
import { plural } from './amounts.ts';
import type { Table } from './rows.ts';
import { trashDays } from './trash.ts';

export const nothingToPrune = 'There is nothing to prune.';

export interface PruneWords {
  readonly sentences: readonly string[];
  /** Longest unused first; null when there is none. */
  readonly windows: Table | null;
}

/** What a prune did, or would do. */
export function pruneWords(pruned: PruneResult, now: Date): PruneWords {
  const { dryRun, windows, blocks, bytesFreed, bytesToTrash, elsewhere } = pruned;
  if (windows.length === 0) return { sentences: [nothingToPrune], windows: null };
  const [moves, frees] = dryRun ? ['would move', 'would free'] : ['moved', 'freed'];
  return {
    sentences: [
      `${plural(windows.length, 'window')} ${moves} to the trash for ${trashDays} days (${formatBytes(bytesToTrash)}).`,
      `Deleting ${plural(blocks, 'KV block')} that nothing else needs ${frees} ${formatBytes(bytesFreed)}.`,
      ...(elsewhere === 0
        ? []
        : [`The KV of ${plural(elsewhere, 'window')} is on other model servers, which are asked to delete it.`]),
    ],
    windows: {
      head: ['Window', 'Tokens', 'Records', 'Used'],
      rows: windows.map(({ name, tokens, recordBytes, lastUsedAt }) => [
        name,
        formatCount(tokens),
        formatBytes(recordBytes),
        formatAge(lastUsedAt, now),
      ]),
    },
  };
}
