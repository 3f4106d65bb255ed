import type { Command } from 'commander';
import type { Perform } from '../action.ts';
import { collect } from '../arguments.ts';
import { receiptInWords } from '../receiptInWords.ts';
import { withCommonOptions } from '../run.ts';

interface Notes {
  readonly description?: string;
  readonly tag?: string[];
}

const withNotes = (command: Command): Command =>
  command.option('--description <text>', 'what it is for').option('--tag <tag>', 'may be given several times', collect);

export function registerFreezeAndThaw(program: Command, perform: Perform): void {
  withNotes(withCommonOptions(program.command('freeze')))
    .description('save a session as a window, and its KV cache with it')
    .argument('<session>', "the session's id")
    .argument('<window>', 'name of the new window')
    .option('--checkpoint', 'let the session go on')
    .action((session: string, window: string, options: Notes & { checkpoint?: boolean }) => {
      const { description, tag: tags, checkpoint, ...common } = options;
      return perform(common, async (run) => {
        const input = { session, window, checkpoint, description, tags, ...run.onEngine };
        run.print(await run.call('freeze', input, checkpoint ? 'Saving' : 'Freezing'), receiptInWords);
      });
    });

  withCommonOptions(program.command('thaw'))
    .description('open a window as a new session, bring its KV cache back, and prove what was reused')
    .argument('<window>', "the window's name")
    .option('--session <id>', 'id of the new session')
    .option('--resume', 'go on in the frozen session itself')
    .option('--insist', 'open it although the model is another one; its KV is not used then')
    .action((window: string, options: { session?: string; resume?: boolean; insist?: boolean }) => {
      const { session, resume, insist, ...common } = options;
      return perform(common, async (run) => {
        const input = { window, session, resume, insist, ...run.onEngine };
        run.print(await run.call('thaw', input, 'Thawing'), receiptInWords);
      });
    });

  withNotes(withCommonOptions(program.command('clone')))
    .description('make another window over the same content; no KV is copied')
    .argument('<window>', "the window's name")
    .argument('<target>', 'name of the new window')
    .action((window: string, target: string, { description, tag: tags, ...common }: Notes) =>
      perform(common, async (run) => {
        run.print(await run.call('clone', { window, target, description, tags }, 'Cloning'), receiptInWords);
      }),
    );
}
