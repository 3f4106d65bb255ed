import type { Command } from 'commander';
import type { Perform } from '../../action.ts';
import { receiptText } from '../../receiptText.ts';
import { withCommonOptions } from '../../run.ts';

interface ThawOptions {
  readonly copy?: boolean;
  readonly session?: string;
  readonly resume?: boolean;
  readonly insist?: boolean;
  readonly prompt?: string;
  readonly warm?: boolean;
}

export function registerThaw(program: Command, perform: Perform): void {
  withCommonOptions(program.command('thaw'))
    .description('continue from a window: load its KV cache, and prove what was reused')
    .argument('<window>', "the window's name")
    .option('--copy', 'continue in a new session; the one of the window stays as it is')
    .option('--session <id>', 'the same, with this id')
    .option('--resume', 'only continue the frozen session itself')
    .option(
      '--insist',
      'let the conversation continue with another model than the frozen one; its KV cache is not used',
    )
    .option('--prompt <text>', 'a message that the opened session sends at once; the answer is printed')
    .option('--no-warm', 'open the conversation and ask the model server nothing')
    .action((window: string, { copy, session, resume, insist, prompt, warm, ...common }: ThawOptions) =>
      perform(common, async (run) => {
        const cold = warm === false ? { warm } : {};
        const input = { window, copy, session, resume, insist, prompt, ...cold, ...run.onEngine };
        run.print(await run.call('thaw', input, 'Thawing'), (receipt) =>
          [receiptText(receipt), ...(receipt.answer ? ['', receipt.answer.text] : [])].join('\n'),
        );
      }),
    );
}
