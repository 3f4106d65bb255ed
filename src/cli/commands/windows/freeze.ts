import type { Command } from 'commander';
import type { Perform } from '../../action.ts';
import { withWindowNotes, type WindowNotes } from '../../windowNotes.ts';
import { receiptText } from '../../receiptText.ts';
import { withCommonOptions } from '../../run.ts';

export function registerFreeze(program: Command, perform: Perform): void {
  withWindowNotes(withCommonOptions(program.command('freeze')))
    .description('freeze a session: store its text and its KV cache as a window')
    .argument('<session>', "the session's id")
    .argument('<window>', 'name of the new window')
    .option('--checkpoint', 'leave the session open')
    .option(
      '--recompute',
      'compute the conversation again instead of using its KV, for example KV that came with a file',
    )
    .action((session: string, window: string, options: WindowNotes & { checkpoint?: boolean; recompute?: boolean }) => {
      const { description, tag: tags, checkpoint, recompute, ...common } = options;
      return perform(common, async (run) => {
        const input = { session, window, checkpoint, recompute, description, tags, ...run.onEngine };
        run.print(await run.call('freeze', input, checkpoint ? 'Making a checkpoint' : 'Freezing'), receiptText);
      });
    });
}
