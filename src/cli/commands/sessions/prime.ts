import type { Command } from 'commander';
import { absolutePath } from '../../../client/absolutePath.ts';
import type { PrimeResult } from '../../../protocol/schemas/turn.ts';
import { leftOutSentence, primedSentence } from '../../../words/prime.ts';
import type { Perform } from '../../action.ts';
import { wholeNumber } from '../../arguments.ts';
import { withCommonOptions } from '../../run.ts';

const maxNamedSkips = 10;

export function registerPrime(program: Command, perform: Perform): void {
  withCommonOptions(program.command('prime'))
    .description('add files and folders to the context of a session, and let the model read them')
    .argument('<session>', "the session's id")
    .argument('<path...>', 'files and folders; .gitignore is respected')
    .option('--max-tokens <n>', 'leave out files that would exceed this many tokens', wholeNumber(1))
    .action((session: string, paths: string[], { maxTokens, ...common }: { maxTokens?: number }) =>
      perform(common, async (run) => {
        const { cwd } = run.terminal;
        const absolute = paths.map((path) => absolutePath(path, cwd));
        const input = { session, paths: absolute, cwd, maxTokens, ...run.onEngine };
        run.print(await run.call('prime', input, 'Reading files'), primedText);
      }),
    );
}

function primedText(primed: PrimeResult): string {
  const { skipped } = primed;
  const more = skipped.length - maxNamedSkips;
  return [
    primedSentence(primed),
    leftOutSentence(primed),
    ...skipped.slice(0, maxNamedSkips).map(({ path, why }) => `  ${path}: ${why}`),
    more > 0 ? `  and ${more} more` : null,
    ...primed.notes.map((note) => `  · ${note}`),
  ]
    .filter((line) => line !== null)
    .join('\n');
}
