import type { Command } from 'commander';
import { formatCount } from '../../../base/format.ts';
import { readableLine } from '../../../base/readableText.ts';
import { formatStamp, plural } from '../../../words/amounts.ts';
import { foundWhere, markedExcerpt, nothingFound } from '../../../words/search.ts';
import type { Perform } from '../../action.ts';
import { wholeNumber } from '../../arguments.ts';
import { withCommonOptions, type Run } from '../../run.ts';

interface SearchOptions {
  readonly project?: string;
  readonly session?: string;
  readonly limit?: number;
  readonly offset?: number;
  readonly recall?: boolean;
}

const bold = ['\u001b[1m', '\u001b[22m'] as const;
const unmarked = ['', ''] as const;

export function registerSearch(program: Command, perform: Perform): void {
  withCommonOptions(program.command('search'))
    .description('find what was said in any conversation, on any branch; of files that were added, their names')
    .argument('<words...>', 'words that must all occur; in quotes: one after another')
    .option('--project <folder>', 'only in sessions of this project')
    .option('--session <session>', 'only in this session')
    .option('--limit <n>', 'at most this many', wholeNumber(1))
    .option('--offset <n>', 'skip this many', wholeNumber(0))
    .option('--recall', 'take the words as a question: what has to do with it, in any words; best first')
    .action((words: readonly string[], { project, recall, ...options }: SearchOptions) =>
      perform(options, async (run) => {
        if (recall) return printPages(run, words.join(' '), { project, ...options });
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
    ? nothingFound
    : shown < total
      ? `${formatCount(shown)} of ${plural(total, 'message')}; --limit and --offset show the others.`
      : `${plural(total, 'message')}.`;

async function printPages(run: Run, text: string, { project, session, limit }: SearchOptions): Promise<void> {
  const found = await run.call('searchPages', {
    text,
    ...(project !== undefined && { project: await run.project(project) }),
    session,
    limit,
  });
  if (run.json) return run.print(found, () => '');
  for (const { page, role, createdAt, text: said, isCut, session: where } of found.items) {
    run.terminal.out(`${formatStamp(createdAt)}  ${role}, page ${page} (${where})\n`);
    run.terminal.out(`  ${readableLine(said)}${isCut ? ' …' : ''}\n`);
  }
  run.terminal.err(found.items.length === 0 ? 'Nothing was found.\n' : `${plural(found.items.length, 'page')}.\n`);
}
