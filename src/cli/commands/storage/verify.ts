import type { Command } from 'commander';
import type { RouteOutput } from '../../../protocol/api.ts';
import { verificationWords } from '../../../words/verification.ts';
import type { Perform } from '../../action.ts';
import { exitCodes } from '../../failure.ts';
import { withCommonOptions } from '../../run.ts';
import { formatTable } from '../../terminal/layout.ts';

export function registerVerify(program: Command, perform: Perform): void {
  withCommonOptions(program.command('verify'))
    .description('check all records, and the KV blocks of one window or of all, against their checksums')
    .argument('[window]', "a window's name; all windows by default")
    .option('--repair', 'set damaged records aside, derive again what other records determine, delete damaged KV')
    .action((window: string | undefined, { repair, ...common }: { repair?: boolean }) =>
      perform(common, async (run) => {
        const result = await run.call('verify', { window, repair, ...run.onEngine }, 'Checking');
        run.print(result, (verified) => text(verified, window ?? null));
        return result.healthy ? exitCodes.ok : exitCodes.failed;
      }),
    );
}

function text(verified: RouteOutput<'verify'>, window: string | null): string {
  const { sentence, steps, problems, repairs } = verificationWords(verified, window);
  return [
    sentence,
    formatTable(steps),
    ...problems.map((problem) => `✗ ${problem}`),
    ...repairs.map((repair) => `Repaired: ${repair}`),
  ].join('\n');
}
