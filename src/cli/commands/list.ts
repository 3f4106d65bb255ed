import { Option, type Command } from 'commander';
import type { RouteOutput } from '../../protocol/api.ts';
import type { WindowSummary } from '../../protocol/schemas/window.ts';
import type { Perform } from '../action.ts';
import { collect, projectUri, wholeNumber } from '../arguments.ts';
import { formatAge, formatBytes, formatCount } from '../../base/format.ts';
import { formatFacts, formatTable, orUnknown, plural } from '../terminal/layout.ts';
import { receiptInWords } from '../receiptInWords.ts';
import { withCommonOptions } from '../run.ts';
import { healthInWords } from '../healthInWords.ts';

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

export function registerWindows(program: Command, perform: Perform): void {
  withCommonOptions(program.command('list'))
    .description('list windows')
    .option('--session <id>', 'those of one session')
    .option('--project <folder>', 'those of one project')
    .option('--model <id>', 'those of one model')
    .option('--tag <tag>', 'those with this tag; may be given several times', collect)
    .option('--search <text>', 'those with this text in name or description')
    .option('--since <time>', 'made after this')
    .option('--until <time>', 'made before this')
    .addOption(new Option('--sort <by>', 'order by').choices(['name', 'createdAt', 'tokens', 'kvBytes']))
    .addOption(new Option('--order <way>', 'direction').choices(['asc', 'desc']))
    .option('--limit <n>', 'at most so many', wholeNumber(1))
    .option('--offset <n>', 'leave out so many', wholeNumber(0))
    .action((options: ListOptions) => {
      const { session, project, model, tag, search, since, until, sort, order, limit, offset, ...common } = options;
      return perform(common, async (run) => {
        const page = await run.call('listWindows', {
          session,
          ...(project === undefined ? {} : { project: await projectUri(project, run.terminal.cwd) }),
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
        run.print(page, ({ items, total }) => windowsInWords(items, total));
      });
    });

  withCommonOptions(program.command('status'))
    .description('show one window with all that is known of it, or how the whole is doing')
    .argument('[window]', "the window's name")
    .action((window: string | undefined, common: object) =>
      perform(common, async (run) => {
        if (window === undefined) run.print(await run.call('health', { probe: true }), healthInWords);
        else run.print(await run.call('getWindow', { window }), windowInWords);
      }),
    );

  withCommonOptions(program.command('delete'))
    .description('move a window to the trash; KV that no other window has goes with it')
    .argument('<window>', "the window's name")
    .option('--keep-blocks', 'leave its KV with the engine')
    .action((window: string, { keepBlocks, ...common }: { keepBlocks?: boolean }) =>
      perform(common, async (run) => {
        run.print(await run.call('deleteWindow', { window, keepBlocks }, 'Deleting'), deletedInWords);
      }),
    );
}

function windowsInWords(windows: readonly WindowSummary[], total: number): string {
  if (total === 0) return 'There are no windows. Save a session as one with "cwm freeze SESSION NAME".';
  const now = new Date();
  const table = formatTable(
    ['WINDOW', 'TOKENS', 'KV', 'MADE', 'LAST THAW', 'MODEL', 'DESCRIPTION'],
    windows.map((window) => [
      window.name,
      formatCount(window.tokens),
      window.kvBytes === null ? '' : formatBytes(window.kvBytes),
      formatAge(window.createdAt, now),
      window.lastThaw?.verdict ?? '',
      window.model,
      window.description,
    ]),
  );
  return windows.length < total ? `${table}\n${formatCount(windows.length)} of ${formatCount(total)}` : table;
}

function windowInWords({ manifest, kv, summary, lineageWindows, receipts }: RouteOutput<'getWindow'>): string {
  const last = receipts.at(-1);
  return [
    `Window ${manifest.name} holds ${plural(manifest.tokens.count, 'token')} of session ${manifest.session}.`,
    formatFacts([
      ['description', manifest.description || null],
      ['tags', manifest.tags.join(', ') || null],
      ['made by', `${manifest.mode} at ${manifest.createdAt}`],
      ['model', manifest.model.id],
      ['engine', `${manifest.engine} (${kv.engineKind} ${kv.engineVersion})`],
      ['KV', orUnknown(kv.kvBytes, formatBytes)],
      ['pinned', summary.pinned ? 'yes: no budget takes its KV' : null],
      ['lineage', lineageWindows.length > 1 ? lineageWindows.join(' → ') : null],
      ['project', manifest.project],
      ['last thaw', summary.lastThaw === null ? 'never' : `${summary.lastThaw.verdict} at ${summary.lastThaw.at}`],
    ]),
    ...(last ? [`Its latest receipt (${last.operation}, ${last.at}):`, receiptInWords(last)] : []),
  ].join('\n');
}

function deletedInWords(deleted: RouteOutput<'deleteWindow'>): string {
  const { window, blocksDeleted, bytesFreed, blocksKept } = deleted;
  const kept = blocksKept === 0 ? '' : ` ${plural(blocksKept, 'block')} stay, since other windows have them too.`;
  return `Deleted window ${window}: ${plural(blocksDeleted, 'block')} of KV, ${formatBytes(bytesFreed)} freed.${kept}`;
}
