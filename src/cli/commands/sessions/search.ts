import type { Command } from 'commander';
import { formatCount } from '../../../base/format.ts';
import { formatStamp, plural } from '../../../words/amounts.ts';
import { foundWhere, markedExcerpt } from '../../../words/search.ts';
import type { Perform } from '../../action.ts';
import { wholeNumber } from '../../arguments.ts';
import { withCommonOptions } from '../../run.ts';

interface SearchOptions {
  readonly project?: string;
  readonly session?: string;
  readonly limit?: number;
  readonly offset?: number;
}

const bold = ['\u001b[1m', '\u001b[22m'] as const;
const unmarked = ['', ''] as const;

export function registerSearch(program: Command, perform: Perform): void {
  withCommonOptions(program.command('search'))
    .description('find what was said in any conversation, on any branch')
    .argument('<words...>', 'words that must all occur; in quotes: one after another')
    .option('--project <folder>', 'only in sessions of this project')
    .option('--session <id>', 'only in this session')
    .option('--limit <n>', 'at most this many', wholeNumber(1))
    .option('--offset <n>', 'skip this many', wholeNumber(0))
    .action((words: readonly string[], { project, ...options }: SearchOptions) =>
      perform(options, async (run) => {
        const { session, limit, offset } = options;
        const text = words.map((word) => (/\s/.test(word) ? `"${word}"` : word)).join(' ');
        const found = await run.call('searchMessages', {
          text,
          ...(project !== undefined && { project: await run.project(project) }),
          session,
          limit,
          offset,
        });
        if (run.json) return run.print(found, () => '');
        const [open, close] = run.terminal.isWatched ? bold : unmarked;
        for (const item of found.items) {
          run.terminal.out(`${formatStamp(item.createdAt)}  ${foundWhere(item)} (${item.session})\n`);
          run.terminal.out(`  ${markedExcerpt(item.excerpt, open, close)}\n`);
        }
        run.terminal.err(`${counted(found.total, found.items.length)}\n`);
      }),
    );
}

const counted = (total: number, shown: number): string =>
  total === 0
    ? 'Nothing was found.'
    : shown < total
      ? `${formatCount(shown)} of ${plural(total, 'message')}; --limit and --offset show the others.`
      : `${plural(total, 'message')}.`;
