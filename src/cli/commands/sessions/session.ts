import { Option, type Command } from 'commander';
import type { Lifecycle, Session } from '../../../protocol/schemas/session.ts';
import type { MemorySettings } from '../../../protocol/schemas/sessionSettings.ts';
import { folderWords, formatStamp } from '../../../words/amounts.ts';
import { sessionDeletedSentence } from '../../../words/trash.ts';
import type { Table } from '../../../words/rows.ts';
import { checkpointRows, expirySentence, lifecycleWords, movedSentence, sessionRows } from '../../../words/session.ts';
import type { Row } from '../../../words/rows.ts';
import type { Perform } from '../../action.ts';
import { duration, wholeNumber } from '../../arguments.ts';
import { formatAge, formatCount, formatTokens } from '../../../base/format.ts';
import { formatFacts, formatPage } from '../../terminal/layout.ts';
import { withCommonOptions, withModelOption, type Run } from '../../run.ts';
import { registerMessages } from './messages.ts';
import { registerDecideTools } from './decideTools.ts';
import { settingsInput, withSettingsOptions, type SettingsOptions } from './sessionSettings.ts';

interface NewOptions extends SettingsOptions {
  readonly base: boolean;
  readonly memories?: boolean;
  readonly id?: string;
  readonly project?: string | false;
  readonly expiresIn?: number;
}

interface SetOptions extends SettingsOptions {
  readonly breakPrefix?: boolean;
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

  withSettingsOptions(withModelOption(withCommonOptions(session.command('new'))))
    .description('create a session')
    .option('--id <id>', 'id of the session; a random one by default')
    .option('--project <folder>', 'folder of the project that the session belongs to; by default that of this folder')
    .option('--no-project', 'it belongs to no project, wherever the command runs')
    .option('--no-base', 'begin empty, under a salt of its own, also where the project has a base')
    .option('--memories', 'begin with what is remembered for you, for tools and for the project ("cwm memory list")')
    .option('--no-memories', 'begin without them, even if the project says otherwise')
    .option('--expires-in <duration>', 'it takes no more turns after this, like 12h or 30d; never by default', duration)
    .action(({ id, project, base, memories, expiresIn, ...rest }: NewOptions) =>
      perform(rest, async (run) => {
        const created = await run.call('createSession', {
          id,
          ...settingsInput(rest),
          project: await projectOfNew(run, project),
          ...(!base && { withoutBase: true }),
          memories,
          expiresAt: expiresIn === undefined ? undefined : expiryIn(expiresIn),
          ...run.onEngine,
        });
        run.print({ session: created.id, ...created }, (session) =>
          [
            `Created session ${session.id} on ${session.engine}.${beginningSentences(session)}`,
            ...(session.notes ?? []).map((note) => `  · ${note}`),
          ].join('\n'),
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
          ...(project === undefined ? {} : { project: await run.project(project) }),
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
        const { last } = await run.call('autoFreezeCheck', { session: id });
        run.print({ session: found.id, ...found, ...(last && { checkpoint: last }) }, (session) =>
          sessionText(session, checkpointRows(last, formatStamp)),
        );
      }),
    );

  registerMessages(session, perform);

  withSettingsOptions(withModelOption(withCommonOptions(session.command('set'))))
    .description('change the settings of a session, its model server (--engine), or when it expires')
    .argument('<session>', "the session's id")
    .addOption(
      new Option('--expires-in <duration>', 'it takes no more turns after this, like 12h or 30d')
        .argParser(duration)
        .conflicts('neverExpires'),
    )
    .option('--never-expires', 'it does not expire; an expired session is open again')
    .option('--break-prefix', 'change it even if the model server must compute the context again')
    .action((id: string, { expiresIn, neverExpires, breakPrefix, ...rest }: SetOptions, command: Command) => {
      const setsExpiry = expiresIn !== undefined || neverExpires === true;
      return perform(rest, async (run) => {
        const settings = settingsInput(rest, await memoryBefore(run, id, rest));
        const change = { ...settings, ...run.onEngine };
        const setsMore = Object.keys(change).length > 0;
        if (!setsExpiry && !setsMore) command.error('error: say what to change, for example --title', { exitCode: 2 });
        if (setsMore) {
          const changed = await run.call('updateSession', { session: id, ...change, breakPrefix });
          if (!setsExpiry) run.print({ session: changed.id, ...changed }, sessionText);
        }
        if (!setsExpiry) return;
        const expiresAt = expiresIn === undefined ? null : expiryIn(expiresIn);
        const changed = await run.call('setExpiry', { session: id, expiresAt });
        run.print({ session: changed.id, ...changed }, (after) => expirySentence(after.id, after.expiresAt));
      });
    });

  registerDecideTools(session, perform);

  withCommonOptions(session.command('move'))
    .description('move a session to another project, with its windows')
    .argument('<session>', "the session's id")
    .argument('[project]', 'folder or URI of the project; this folder by default')
    .option('--out', 'it belongs to no project any more')
    .action((id: string, project: string | undefined, { out, ...common }: { out?: boolean }, command: Command) => {
      if (out && project !== undefined) command.error('error: give a project, or --out', { exitCode: 2 });
      return perform(common, async (run) => {
        const into = out ? null : await run.project(project ?? '.');
        const moved = await run.call('moveSession', { session: id, project: into });
        run.print({ session: moved.id, ...moved }, movedSentence);
      });
    });

  withCommonOptions(session.command('delete'))
    .description('move a session to the trash')
    .argument('<session>', "the session's id")
    .option('--cascade', 'delete its windows too')
    .option('--forever', 'not into the trash: its text cannot be restored')
    .action((id: string, { cascade, forever, ...common }: { cascade?: boolean; forever?: boolean }) =>
      perform(common, async (run) => {
        const result = await run.call('deleteSession', { session: id, cascade, forever }, 'Deleting');
        run.print({ session: id, ...result }, (deleted) => sessionDeletedSentence(id, deleted));
      }),
    );
}

/** A folder that nothing is known of does not become a project by this: scripts create sessions anywhere. */
async function projectOfNew(run: Run, given: string | false | undefined): Promise<string | null> {
  if (given !== undefined) return given === false ? null : run.project(given);
  const found = await run.projectHere();
  return found === null || found.tier === 'default' ? null : found.project;
}

function beginningSentences({ project, base, tokens }: Session): string {
  if (project === null) return '';
  const beginning =
    base === undefined ? 'begins without a base' : `continues the KV of its base (${formatTokens(tokens?.count ?? 0)})`;
  return ` It belongs to ${folderWords(project)} and ${beginning}.`;
}

/** Of a session whose memory an option is about: what the option does not say stays as it is. */
async function memoryBefore(run: Run, session: string, options: SettingsOptions): Promise<MemorySettings | undefined> {
  const { memory, memoryTokens, memoryPolicy, memoryMode } = options;
  const given = [memory === 'on' ? memory : undefined, memoryTokens, memoryPolicy, memoryMode];
  if (memory === 'off' || given.every((each) => each === undefined)) return undefined;
  return (await run.call('getSession', { session })).settings?.memory;
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

const sessionText = (session: Session, more: readonly Row[] = []): string =>
  [
    `Session ${session.title}`,
    formatFacts([...sessionRows(session, formatStamp, session.project && folderWords(session.project)), ...more]),
  ].join('\n');
