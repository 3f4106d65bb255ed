import type { Command } from 'commander';
import { emptiedSentence, emptyTrashSentence, restoredSentence, trashDays, trashTable } from '../../../words/trash.ts';
import type { Perform } from '../../action.ts';
import { withCommonOptions } from '../../run.ts';
import { formatTable } from '../../terminal/layout.ts';

export function registerTrash(program: Command, perform: Perform): void {
  const trash = program.command('trash').description('list, restore or remove deleted sessions and windows');
  withCommonOptions(trash.command('list'))
    .description('list what can be restored')
    .action((common: object) =>
      perform(common, async (run) =>
        run.print(await run.call('listTrash', {}), ({ items }) =>
          items.length === 0 ? emptyTrashSentence : formatTable(trashTable(items, new Date())),
        ),
      ),
    );
  withCommonOptions(trash.command('restore'))
    .description('restore a session or window as it was')
    .argument('<item>', 'its id, as "cwm trash list" shows it')
    .action((item: string, common: object) =>
      perform(common, async (run) => run.print(await run.call('restoreFromTrash', { item }), restoredSentence)),
    );
  withCommonOptions(trash.command('empty'))
    .description(`remove for good what was deleted more than ${trashDays} days ago`)
    .option('--all', 'remove everything in the trash')
    .action(({ all, ...common }: { all?: boolean }) =>
      perform(common, async (run) => run.print(await run.call('emptyTrash', { all }, 'Emptying'), emptiedSentence)),
    );
}
