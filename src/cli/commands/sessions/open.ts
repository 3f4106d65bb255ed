import { setTimeout as delay } from 'node:timers/promises';
import type { Command } from 'commander';
import { readableLine } from '../../../base/readableText.ts';
import type { RouteOutput } from '../../../protocol/api.ts';
import { folderWords } from '../../../words/amounts.ts';
import { projectLine, warmingSentences } from '../../../words/session.ts';
import type { Perform } from '../../action.ts';
import { withCommonOptions, type Run } from '../../run.ts';

/** Between two looks at a loading that runs, in milliseconds. */
const pollMs = 100;

export function registerOpen(program: Command, perform: Perform): void {
  withCommonOptions(program.command('open'))
    .description("bring the KV of a folder's current session back, so that its next answer comes at once")
    .argument('[folder]', 'the folder; this one by default')
    .option('--leaving <folder>', 'a folder that you leave: its session gets a checkpoint first if it has gone on')
    .option('--record', 'save this folder again without being asked, after --no-record')
    .option('--no-record', 'save nothing of this folder without being asked, and load nothing, until --record')
    .option('--insist', 'bring the KV back also where that takes long')
    .option('--git-branch <name>', 'open the session that was last current on this git branch of the folder')
    .option('--no-wait', 'do not wait until it is back')
    .action((folder: string | undefined, { leaving, record, insist, wait, gitBranch, ...common }: OpenOptions) =>
      perform(common, async (run) => {
        const project = await run.project(folder ?? '.');
        const opened = await run.call('openProject', {
          project,
          ...(leaving !== undefined && { leaving: await run.project(leaving) }),
          ...(record !== undefined && { record }),
          ...(insist && { insist }),
          ...(gitBranch !== undefined && { gitBranch, eachBranch: true }),
        });
        run.print(wait ? await whenBack(run, opened) : opened, openedText);
      }),
    );
}

interface OpenOptions {
  readonly leaving?: string;
  readonly record?: boolean;
  readonly insist?: true;
  readonly gitBranch?: string;
  readonly wait: boolean;
}

type Opened = RouteOutput<'openProject'>;

async function whenBack(run: Run, opened: Opened): Promise<Opened> {
  let now = opened;
  while (now.warming?.state === 'running') {
    await delay(pollMs, undefined, { signal: run.terminal.interrupted });
    now = { ...opened, ...(await run.call('openedProject', { project: opened.project })) };
  }
  return now;
}

function openedText({ project, resolution, session, warming, note }: Opened): string {
  const found = [...(resolution ? [projectLine(resolution)] : []), ...(note === undefined ? [] : [note])];
  if (!session || !warming)
    return [...found, `${folderWords(project)} has no current session. "cwm chat" begins one.`].join('\n');
  const opened = `${readableLine(session.title)} (session ${session.id})`;
  return [...found, opened, ...warmingSentences(warming)].join('\n');
}
