import type { Command } from 'commander';
import type { PruneResult } from '../../../protocol/schemas/space.ts';
import { pruneWords } from '../../../words/prune.ts';
import type { Perform } from '../../action.ts';
import { amount, wholeNumber } from '../../arguments.ts';
import { withCommonOptions } from '../../run.ts';
import { formatTable } from '../../terminal/layout.ts';

interface PruneOptions {
  readonly olderThan?: number;
  readonly keep?: number;
  readonly dryRun?: boolean;
}

export function registerPrune(program: Command, perform: Perform): void {
  withCommonOptions(program.command('prune'))
    .description('move windows that were not used for long to the trash, and free the KV that only they use')
    .option('--older-than <days>', 'windows that were not used for this many days', amount)
    .option('--keep <n>', 'leave the n windows that were used last', wholeNumber(0))
    .option('--dry-run', 'only show what would be pruned')
    .action(({ olderThan, keep, dryRun, ...common }: PruneOptions) =>
      perform(common, async (run) => {
        const input = { olderThanDays: olderThan, keep, dryRun };
        run.print(await run.call('prune', input, dryRun ? 'Measuring' : 'Pruning'), text);
      }),
    );
}

function text(pruned: PruneResult): string {
  const { sentences, windows } = pruneWords(pruned, new Date());
  return [...sentences, ...(windows === null ? [] : [formatTable(windows)])].join('\n');
}
