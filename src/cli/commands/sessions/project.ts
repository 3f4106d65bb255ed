import { Argument, type Command } from 'commander';
import type { RouteOutput } from '../../../protocol/api.ts';
import { formatFacts, formatTable } from '../../terminal/layout.ts';
import { folderWords, plural } from '../../../words/amounts.ts';
import {
  adoptedSentence,
  adoptionSentences,
  likenessWords,
  notRecorded,
  recordedSentence,
  tierWords,
} from '../../../words/session.ts';
import type { Perform } from '../../action.ts';
import { withCommonOptions, type Run } from '../../run.ts';
import { readableText } from '../../../base/readableText.ts';
import { absolutePath } from '../../../client/absolutePath.ts';

/** `cwm project`: which project a folder belongs to, and one that moved. */
export function registerProject(program: Command, perform: Perform): void {
  const project = program
    .command('project')
    .description('show, list and adopt projects; each is a folder with its sessions');

  withCommonOptions(project.command('show'))
    .description(
      'which project a folder belongs to, how that was found, and projects elsewhere that may be the same one',
    )
    .argument('[folder]', 'the folder; this one by default')
    .action((folder: string | undefined, common: object) =>
      perform(common, async (run) => {
        const given = folder ?? '.';
        const isUri = /^[a-z][a-z0-9+.-]*:\/\//i.test(given);
        const found = await run.call('findProject', { folder: isUri ? given : absolutePath(given, run.terminal.cwd) });
        run.print(found, projectText);
      }),
    );

  withCommonOptions(project.command('list'))
    .description('all projects, with their sessions')
    .action((common: object) =>
      perform(common, async (run) => {
        const { items } = await run.call('listProjects', {});
        run.print({ items }, () =>
          items.length === 0
            ? 'There are no projects. A session with "--project" makes one.'
            : formatTable({
                head: ['NAME', 'SESSIONS', 'FOLDER'],
                rows: items.map(({ name, sessions, project, isGone, recorded = true }) => {
                  const facts = [...(isGone ? ['not there any more'] : []), ...(recorded ? [] : [notRecorded])];
                  const said = facts.length === 0 ? '' : ` (${facts.join(', ')})`;
                  return [name, String(sessions), `${folderWords(project)}${said}`];
                }),
              }),
        );
      }),
    );

  withCommonOptions(project.command('record'))
    .description(
      'say whether anything of a project is saved without being asked for: checkpoints, and KV that is brought back',
    )
    .addArgument(new Argument('<on|off>', 'off deletes the checkpoints that there are').choices(['on', 'off']))
    .argument('[folder]', 'the folder; this one by default')
    .action((wanted: string, folder: string | undefined, common: object) =>
      perform(common, async (run) => {
        const project = await run.project(folder ?? '.');
        run.print(await run.call('recordProject', { project, recorded: wanted === 'on' }), recordedSentence);
      }),
    );

  withCommonOptions(project.command('adopt'))
    .description('say that a project is this one: its folder was moved or renamed, or two are to be one')
    .argument('<other>', 'folder or URI of the project whose sessions come here')
    .option('--into <folder>', 'folder of the project that gets them; this one by default')
    .option('--yes', 'do not ask first')
    .action((other: string, { into, yes, ...common }: { into?: string; yes?: true }) =>
      perform(common, async (run) => {
        const project = await run.project(into ?? '.');
        const from = await run.project(other);
        if (!yes) await askFirst(run, project, from);
        run.print(await run.call('adoptProject', { project, from }), adoptedSentence);
      }),
    );
}

/** Names both projects and what would move: a folder that was mistyped must not merge two. */
async function askFirst(run: Run, project: string, from: string): Promise<void> {
  const { items } = await run.call('listProjects', {});
  const { name } = await run.call('findProject', { folder: project });
  const of = (uri: string) =>
    items.find((each) => each.project === uri) ?? { name: uri, project: uri, sessions: 0, isGone: false };
  const sentences = adoptionSentences(of(from), { ...of(project), name });
  run.terminal.err(`${readableText(sentences.join('\n'))}\n`);
  await run.requireYes('Bring them here?');
}

function projectText(found: RouteOutput<'findProject'>): string {
  const { project, name, tier, configPath, trusted, recorded = true, sessions, candidates } = found;
  const facts: [string, string][] = [
    ['Project', name],
    ['Folder', project === null ? '' : folderWords(project)],
    ['Found', tierWords[tier]],
    ...(configPath === null ? [] : [['Configuration', configPath] satisfies [string, string]]),
    ['Trusted', trusted ? 'yes' : 'no'],
    ['Automatic saves', recorded ? 'checkpoints' : 'nothing'],
    ['Sessions', String(sessions)],
  ];
  return [
    formatFacts(facts),
    ...candidates.map(
      ({ project: other, why, sessions, isGone }) =>
        `It may be ${folderWords(other)}${isGone ? ', which no longer exists' : ''}: ${likenessWords[why]}, ${plural(sessions, 'session')}. "cwm project adopt ${other}" brings them here.`,
    ),
  ].join('\n');
}
