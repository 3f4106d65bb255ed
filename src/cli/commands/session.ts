import { Option, type Command } from 'commander';
import type { Lifecycle, Session } from '../../protocol/schemas/session.ts';
import { formatStamp } from '../../words/amounts.ts';
import { sessionDeletedSentence } from '../../words/deletion.ts';
import type { Table } from '../../words/rows.ts';
import { lifecycleWords, sessionRows } from '../../words/session.ts';
import type { Perform } from '../action.ts';
import { duration, projectUri, wholeNumber } from '../arguments.ts';
import { formatAge, formatCount } from '../../base/format.ts';
import { formatFacts, formatPage } from '../terminal/layout.ts';
import { withCommonOptions, withModelOption } from '../run.ts';

interface NewOptions {
  readonly id?: string;
  readonly title?: string;
  readonly project?: string;
  readonly expiresIn?: number;
}

interface ExpiryOptions {
  readonly expiresIn?: number;
  readonly neverExpires?: boolean;
}

interface ListOptions {
  readonly project?: string;
  readonly lifecycle?: string;
  readonly search?: string;
  readonly limit?: number;
  readonly offset?: number;
}

/** The stored lifecycle behind each word for it. */
const lifecycleOf: ReadonlyMap<string, Lifecycle> = new Map(
  // A deleted session is in the trash, which has a list of its own.
  (Object.keys(lifecycleWords) as Lifecycle[])
    .filter((lifecycle) => lifecycle !== 'deleted')
    .map((lifecycle) => [lifecycleWords[lifecycle], lifecycle]),
);

export function registerSession(program: Command, perform: Perform): void {
  const session = program
    .command('session')
    .description('create, list, show and delete sessions; each is one conversation');

  withModelOption(withCommonOptions(session.command('new')))
    .description('create a session')
    .option('--id <id>', 'id of the session; a random one by default')
    .option('--title <title>', 'title of the session')
    .option('--project <folder>', 'folder of the project that the session belongs to')
    .option('--expires-in <duration>', 'it takes no more turns after this, like 12h or 30d; never by default', duration)
    .action(({ id, title, project, expiresIn, ...common }: NewOptions) =>
      perform(common, async (run) => {
        const created = await run.call('createSession', {
          id,
          title,
          ...(project === undefined ? {} : { project: await projectUri(project, run.terminal.cwd) }),
          expiresAt: expiresIn === undefined ? undefined : expiryIn(expiresIn),
          ...run.onEngine,
        });
        run.print({ session: created.id, ...created }, ({ id, engine, notes }) =>
          [`Created session ${id} on ${engine}.`, ...(notes ?? []).map((note) => `  · ${note}`)].join('\n'),
        );
      }),
    );

  withCommonOptions(session.command('list'))
    .description('list sessions, latest first')
    .option('--project <folder>', 'only sessions of this project')
    .addOption(
      new Option('--lifecycle <lifecycle>', 'only sessions with this lifecycle').choices([...lifecycleOf.keys()]),
    )
    .option('--search <text>', 'only sessions with this text in their title or id')
    .option('--limit <n>', 'at most this many', wholeNumber(1))
    .option('--offset <n>', 'skip this many', wholeNumber(0))
    .action(({ project, lifecycle, search, limit, offset, ...common }: ListOptions) =>
      perform(common, async (run) => {
        const page = await run.call('listSessions', {
          ...(project === undefined ? {} : { project: await projectUri(project, run.terminal.cwd) }),
          lifecycle: lifecycle === undefined ? undefined : lifecycleOf.get(lifecycle),
          search,
          limit,
          offset,
        });
        run.print(page, ({ items, total }) =>
          total === 0
            ? 'There are no sessions. Create one with "cwm session new".'
            : formatPage(sessionsTable(items, new Date()), total),
        );
      }),
    );

  withCommonOptions(session.command('show'))
    .description('show one session')
    .argument('<session>', "the session's id")
    .action((id: string, common: object) =>
      perform(common, async (run) => {
        const found = await run.call('getSession', { session: id });
        run.print({ session: found.id, ...found }, sessionText);
      }),
    );

  withCommonOptions(session.command('set'))
    .description('change when a session expires; an expired session is open again')
    .argument('<session>', "the session's id")
    .addOption(
      new Option('--expires-in <duration>', 'it takes no more turns after this, like 12h or 30d')
        .argParser(duration)
        .conflicts('neverExpires'),
    )
    .option('--never-expires', 'it does not expire')
    .action((id: string, { expiresIn, neverExpires, ...common }: ExpiryOptions, command: Command) => {
      if (expiresIn === undefined && !neverExpires) {
        command.error('error: say --expires-in <duration> or --never-expires', { exitCode: 2 });
      }
      return perform(common, async (run) => {
        const expiresAt = expiresIn === undefined ? null : expiryIn(expiresIn);
        const changed = await run.call('setExpiry', { session: id, expiresAt });
        run.print({ session: changed.id, ...changed }, (after) =>
          after.expiresAt === undefined
            ? `Session ${after.id} does not expire.`
            : `Session ${after.id} expires at ${formatStamp(after.expiresAt)}.`,
        );
      });
    });

  withCommonOptions(session.command('delete'))
    .description('move a session to the trash')
    .argument('<session>', "the session's id")
    .option('--cascade', 'delete its windows too')
    .action((id: string, { cascade, ...common }: { cascade?: boolean }) =>
      perform(common, async (run) => {
        const result = await run.call('deleteSession', { session: id, cascade }, 'Deleting');
        run.print({ session: id, ...result }, ({ deletedWindows }) => sessionDeletedSentence(id, deletedWindows));
      }),
    );
}

const expiryIn = (ms: number): string => new Date(Date.now() + ms).toISOString();

const sessionsTable = (sessions: readonly Session[], now: Date): Table => ({
  head: ['Session', 'Lifecycle', 'Tokens', 'Changed', 'Title'],
  rows: sessions.map(({ id, lifecycle, tokens, updatedAt, title }) => [
    id,
    lifecycleWords[lifecycle],
    tokens === null ? '0' : formatCount(tokens.count),
    formatAge(updatedAt, now),
    title === id ? '' : title,
  ]),
});

const sessionText = (session: Session): string =>
  [`Session ${session.title}`, formatFacts(sessionRows(session, formatStamp, session.project))].join('\n');
