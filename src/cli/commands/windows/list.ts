import { Option, type Command } from 'commander';
import { formatAge, formatBytes, formatCount } from '../../../base/format.ts';
import type { WindowSummary } from '../../../protocol/schemas/window.ts';
import type { Table } from '../../../words/rows.ts';
import type { Perform } from '../../action.ts';
import { collect, wholeNumber } from '../../arguments.ts';
import { withCommonOptions } from '../../run.ts';
import { formatPage } from '../../terminal/layout.ts';

interface ListOptions {
  readonly session?: string;
  readonly project?: string;
  readonly model?: string;
  readonly tag?: string[];
  readonly search?: string;
  readonly since?: string;
  readonly until?: string;
  readonly sort?: 'name' | 'createdAt' | 'tokens' | 'kvBytes';
  readonly order?: 'asc' | 'desc';
  readonly limit?: number;
  readonly offset?: number;
}

export function registerList(program: Command, perform: Perform): void {
  withCommonOptions(program.command('list'))
    .description('list windows')
    .option('--session <session>', 'only windows of this session')
    .option('--project <folder>', 'only windows of this project')
    .option('--model <id>', 'only windows of this model')
    .option('--tag <tag>', 'only windows with this tag; may be given several times', collect)
    .option('--search <text>', 'only windows with this text in their name or description')
    .option('--since <time>', 'only windows created after this time')
    .option('--until <time>', 'only windows created before this time')
    .addOption(new Option('--sort <by>', 'order by').choices(['name', 'createdAt', 'tokens', 'kvBytes']))
    .addOption(new Option('--order <direction>', 'direction of the order').choices(['asc', 'desc']))
    .option('--limit <n>', 'at most this many', wholeNumber(1))
    .option('--offset <n>', 'skip this many', wholeNumber(0))
    .action((options: ListOptions) => {
      const { session, project, model, tag, search, since, until, sort, order, limit, offset, ...common } = options;
      return perform(common, async (run) => {
        const page = await run.call('listWindows', {
          session,
          ...(project === undefined ? {} : { project: await run.project(project) }),
          model,
          tags: tag?.join(','),
          search,
          createdAfter: since,
          createdBefore: until,
          sortBy: sort,
          order,
          limit,
          offset,
        });
        run.print(page, ({ items, total }) =>
          total === 0
            ? 'There are no windows. Freeze a session with "cwm freeze SESSION NAME".'
            : formatPage(windowsTable(items, new Date()), total),
        );
      });
    });
}

const windowsTable = (windows: readonly WindowSummary[], now: Date): Table => ({
  head: ['Window', 'Tokens', 'KV', 'Created', 'Last thaw', 'Model', 'Description'],
  rows: windows.map((window) => [
    window.name,
    formatCount(window.tokens),
    window.kvBytes === null ? '' : formatBytes(window.kvBytes),
    formatAge(window.createdAt, now),
    window.lastThaw?.verdict ?? '',
    window.model,
    window.description,
  ]),
});
