import type { Command } from 'commander';
import type { RouteOutput } from '../../../protocol/api.ts';
import type { Perform } from '../../action.ts';
import { withCommonOptions } from '../../run.ts';

export function registerPin(program: Command, perform: Perform): void {
  for (const [command, pinned, what] of [
    ['pin', true, 'protect the KV of a window from the budget, and the window from pruning'],
    ['unpin', false, 'let the budget evict the KV of a window again'],
  ] as const) {
    withCommonOptions(program.command(command))
      .description(what)
      .argument('<window>', "the window's name")
      .action((window: string, common: object) =>
        perform(common, async (run) => run.print(await run.call('pinWindow', { window, pinned }), pinnedSentence)),
      );
  }
}

const pinnedSentence = ({ window, pinned }: RouteOutput<'pinWindow'>): string =>
  pinned ? `Window ${window} is pinned: no budget evicts its KV.` : `Window ${window} is no longer pinned.`;
