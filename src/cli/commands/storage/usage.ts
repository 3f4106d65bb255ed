import { Option, type Command } from 'commander';
import { usageGroups, type UsageGroup } from '../../../protocol/settings/usageGroups.ts';
import type { TokenUsage, Usage } from '../../../protocol/schemas/space.ts';
import { tokenUsageWords, usageWords } from '../../../words/usage.ts';
import type { Perform } from '../../action.ts';
import { notEmpty, wholeNumber } from '../../arguments.ts';
import { withCommonOptions } from '../../run.ts';
import { formatFacts, formatTable } from '../../terminal/layout.ts';

interface UsageOptions {
  readonly by?: UsageGroup;
  readonly from?: string;
  readonly to?: string;
  readonly session?: string;
  readonly limit?: number;
  readonly offset?: number;
}

export function registerUsage(program: Command, perform: Perform): void {
  withCommonOptions(program.command('usage'))
    .description('show what takes the disk space, and the tokens of turns with their cost; with --by, only the tokens')
    .addOption(new Option('--by <what>', 'tokens and costs by one of these').choices([...usageGroups]))
    .option('--from <day>', 'tokens from this day on, like 2026-03-09', notEmpty)
    .option('--to <day>', 'tokens up to this day', notEmpty)
    .option('--session <session>', 'tokens of this session', notEmpty)
    .option('--limit <n>', 'at most this many rows of tokens', wholeNumber(1))
    .option('--offset <n>', 'skip this many', wholeNumber(0))
    .action(({ by, from, to, session, limit, offset, ...common }: UsageOptions) =>
      perform(common, async (run) => {
        const asked = { by, from, to, session, limit, offset };
        const isTokensOnly = Object.values(asked).some((value) => value !== undefined);
        const tokens = await run.call('tokenUsage', asked);
        if (isTokensOnly) return run.print(tokens, tokensText);
        const usage = await run.call('usage', {}, 'Measuring');
        run.print({ ...usage, tokens }, () => `${spaceText(usage)}\n\n${tokensText(tokens)}`);
      }),
    );
}

function spaceText(usage: Usage): string {
  const { rows, windows, projects } = usageWords(usage, new Date());
  const tables = [projects, windows].flatMap((table) => (table === null ? [] : [formatTable(table)]));
  return [formatFacts(rows), ...tables].join('\n');
}

function tokensText(tokens: TokenUsage): string {
  const { table, notes } = tokenUsageWords(tokens);
  return [...(table === null ? [] : [formatTable(table)]), ...notes].join('\n');
}
