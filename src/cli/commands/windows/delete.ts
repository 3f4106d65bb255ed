import type { Command } from 'commander';
import { windowDeletedSentence } from '../../../words/trash.ts';
import type { Perform } from '../../action.ts';
import { withCommonOptions } from '../../run.ts';

export function registerDelete(program: Command, perform: Perform): void {
  withCommonOptions(program.command('delete'))
    .description('move a window to the trash, and delete the KV that only it uses')
    .argument('<window>', "the window's name")
    .option('--keep-blocks', 'leave its KV on the model server')
    .action((window: string, { keepBlocks, ...common }: { keepBlocks?: boolean }) =>
      perform(common, async (run) => {
        run.print(await run.call('deleteWindow', { window, keepBlocks }, 'Deleting'), windowDeletedSentence);
      }),
    );
}
