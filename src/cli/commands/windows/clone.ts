import type { Command } from 'commander';
import type { Perform } from '../../action.ts';
import { withWindowNotes, type WindowNotes } from '../../windowNotes.ts';
import { receiptText } from '../../receiptText.ts';
import { withCommonOptions } from '../../run.ts';

export function registerClone(program: Command, perform: Perform): void {
  withWindowNotes(withCommonOptions(program.command('clone')))
    .description('create another window over the same content; no KV is copied')
    .argument('<window>', "the window's name")
    .argument('<target>', 'name of the new window')
    .action((window: string, target: string, { description, tag: tags, ...common }: WindowNotes) =>
      perform(common, async (run) => {
        run.print(await run.call('clone', { window, target, description, tags }, 'Cloning'), receiptText);
      }),
    );
}
