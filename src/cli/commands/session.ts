import { Option, type Command } from 'commander';
import { lifecycles, type Session } from '../../protocol/schemas/session.ts';
import type { Perform } from '../action.ts';
import { projectUri, wholeNumber } from '../arguments.ts';
import { formatAge, formatCount } from '../../base/format.ts';
import { formatFacts, formatTable, plural } from '../terminal/layout.ts';
import { withCommonOptions } from '../run.ts';

interface NewOptions {
  readonly id?: string;
  readonly title?: string;
  readonly project?: string;
}

interface ListOptions {
  readonly project?: string;
  readonly lifecycle?: Session['lifecycle'];
  readonly search?: string;
  readonly limit?: number;
  readonly offset?: number;
}

export function registerSession(program: Command, perform: Perform): void {
  const session = program.command('session').description('make, list, show and delete sessions: one conversation each');

  withCommonOptions(session.command('new'))
    .description('start a session')
    .option('--id <id>', 'its id; a random one by default')
    .option('--title <title>', 'what to call it')
    .option('--project <folder>', 'the project it belongs to')
    .action(({ id, title, project, ...common }: NewOptions) =>
      perform(common, async (run) => {
        const created = await run.call('createSession', {
          id,
          title,
          ...(project === undefined ? {} : { project: await projectUri(project, run.terminal.cwd) }),
          ...run.onEngine,
        });
        run.print({ session: created.id, ...created }, ({ id, engine, notes }) =>
          [`Started session ${id} on ${engine}.`, ...(notes ?? []).map((note) => `  · ${note}`)].join('\n'),
        );
      }),
    );

  withCommonOptions(session.command('list'))
    .description('list sessions, latest first')
    .option('--project <folder>', 'those of one project')
    .addOption(new Option('--lifecycle <state>', 'those in one state').choices(lifecycles))
    .option('--search <text>', 'those with this text in title or id')
    .option('--limit <n>', 'at most so many', wholeNumber(1))
    .option('--offset <n>', 'leave out so many', wholeNumber(0))
    .action(({ project, lifecycle, search, limit, offset, ...common }: ListOptions) =>
      perform(common, async (run) => {
        const page = await run.call('listSessions', {
          ...(project === undefined ? {} : { project: await projectUri(project, run.terminal.cwd) }),
          lifecycle,
          search,
          limit,
          offset,
        });
        run.print(page, ({ items, total }) => sessionsInWords(items, total));
      }),
    );

  withCommonOptions(session.command('show'))
    .description('show one session')
    .argument('<session>', 'its id')
    .action((id: string, common: object) =>
      perform(common, async (run) => {
        const found = await run.call('getSession', { session: id });
        run.print({ session: found.id, ...found }, sessionInWords);
      }),
    );

  withCommonOptions(session.command('delete'))
    .description('move a session to the trash')
    .argument('<session>', 'its id')
    .option('--cascade', 'with its windows')
    .action((id: string, { cascade, ...common }: { cascade?: boolean }) =>
      perform(common, async (run) => {
        const result = await run.call('deleteSession', { session: id, cascade }, 'Deleting');
        run.print({ session: id, ...result }, ({ deletedWindows }) =>
          deletedWindows.length === 0
            ? `Deleted session ${id}.`
            : `Deleted session ${id} and ${plural(deletedWindows.length, 'window')}: ${deletedWindows.join(', ')}.`,
        );
      }),
    );
}

function sessionsInWords(sessions: readonly Session[], total: number): string {
  if (total === 0) return 'There are no sessions. Start one with "cwm session new".';
  const now = new Date();
  const table = formatTable(
    ['SESSION', 'STATE', 'TOKENS', 'CHANGED', 'TITLE'],
    sessions.map(({ id, lifecycle, tokens, updatedAt, title }) => [
      id,
      lifecycle,
      tokens === null ? '0' : formatCount(tokens.count),
      formatAge(updatedAt, now),
      title === id ? '' : title,
    ]),
  );
  return sessions.length < total ? `${table}\n${formatCount(sessions.length)} of ${formatCount(total)}` : table;
}

function sessionInWords(session: Session): string {
  const { tokens, model, thawedFrom } = session;
  const messages = session.branches[session.activeBranch]?.messageIds.length ?? 0;
  return [
    `Session ${session.id} is ${session.lifecycle}${session.phase === 'Idle' ? '' : ` (${session.phase})`}.`,
    formatFacts([
      ['title', session.title],
      ['messages', formatCount(messages)],
      ['tokens', tokens === null ? 'nothing was sent yet' : formatCount(tokens.count)],
      ['model', model?.id ?? null],
      ['limit', model?.maxModelLen ? `${formatCount(model.maxModelLen)} tokens` : null],
      ['engine', session.engine],
      ['project', session.project],
      ['thawed from', thawedFrom === null ? null : `${thawedFrom.window} (${thawedFrom.verdict})`],
      ['frozen as', session.frozenAs],
      ['prefix breaks', formatCount(session.prefixBreaks)],
      ['changed', session.updatedAt],
    ]),
  ].join('\n');
}
