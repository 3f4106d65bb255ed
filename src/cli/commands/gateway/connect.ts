import type { Command } from 'commander';
import { clientConfigs } from '../../../setup/clientConfigs.ts';
import {
  firstAnswer,
  planConnection,
  undoConnection,
  type ConnectDesk,
  type ConnectPlan,
} from '../../../setup/clientConnection.ts';
import type { Perform } from '../../action.ts';
import { readableText } from '../../../base/readableText.ts';
import { withCommonOptions, type Run } from '../../run.ts';

interface ConnectOptions {
  readonly yes?: boolean;
  readonly undo?: boolean;
  readonly project?: string;
  readonly served?: string;
}

const waitMs = 120_000;

export function registerConnect(program: Command, perform: Perform): void {
  withCommonOptions(program.command('connect'))
    .description("set a client up for the gateway: shows the change to the client's configuration, and makes it on yes")
    .argument('<client>', Object.keys(clientConfigs).join(', '))
    .option('--project <name>', 'project of its conversations (default: the folder that its prompts name)')
    .option('--served <model>', 'model that it asks for (default: the first one of the model server)')
    .option('--yes', 'make the change without a question')
    .option('--undo', 'take the change back, and revoke the token')
    .action((kind: string, options: ConnectOptions) =>
      perform(options, (run) => (options.undo ? undo(run, kind) : connect(run, kind, options))),
    );
}

const deskOf = (run: Run): ConnectDesk => ({
  call: (route, input) => run.call(route, input),
  env: run.terminal.env,
});

async function connect(run: Run, kind: string, { project, served, yes }: ConnectOptions): Promise<void> {
  const desk = deskOf(run);
  const plan = await planConnection(desk, { kind, project, model: served, ...run.onEngine });
  const { label, change } = plan;
  if (!yes) {
    if (change) run.terminal.err(`${shownChange(change)}\n`);
    await run.requireYes(change ? 'Make this change?' : `Make a token for ${label}? It is shown once.`);
  }
  const hint = await plan.make();
  const made = { client: kind, file: change?.file ?? null, url: plan.url, model: plan.model, ...(!change && { hint }) };
  run.print(made, () =>
    [
      change ? `${label} is set up in ${change.file}.` : `${label} needs no file.`,
      hint,
      ...(change === null && plan.replacesToken ? ['The token that it had before does not work any more.'] : []),
      'The client finds the gateway while a backend runs. "cwm serve --at-login on" starts one at each login.',
    ].join('\n'),
  );
  if (!run.terminal.isWatched || run.json) return;
  run.terminal.err('Waiting for its first request; Ctrl-C ends that.\n');
  const signal = run.terminal.interrupted;
  let refused = '';
  const onRefused = (why: string): void => {
    refused = why;
    run.terminal.err(readableText(`${label} asked, and got an error: ${why}\n`));
  };
  const works = await firstAnswer(desk, kind, plan.before, { signal, mostMs: waitMs, onRefused });
  if (works) run.terminal.err(`${label} works: its request was answered.\n`);
  else if (!signal.aborted)
    run.terminal.err(refused ? 'It got no answer within two minutes.\n' : 'None came within two minutes.\n');
}

/** What is there already may be keys of other services, which belong into no log. */
function shownChange({ file, before, after }: NonNullable<ConnectPlan['change']>): string {
  if (before === null) return `${file} becomes:\n\n${after}`;
  const there = new Set(before.split(/\r?\n/));
  return `${file} gets:\n\n${after
    .split(/\r?\n/)
    .filter((line) => !there.has(line))
    .join('\n')}\n`;
}

async function undo(run: Run, kind: string): Promise<void> {
  const undone = await undoConnection(deskOf(run), kind);
  run.print({ client: kind, file: undone.file }, () => {
    if (undone.file === null) return `The token of ${undone.label} does not work any more.`;
    if (undone.isInUse) return stillInUse(undone.file, kind);
    return undone.isUnknown
      ? `${undone.file} stays as it is: nothing says that "cwm connect" changed it.`
      : `${undone.file} has nothing of the gateway any more.`;
  });
}

const stillInUse = (file: string, kind: string): string =>
  `${file} names the gateway, but nothing says what it was before, so the file and its token stay. Correct it by hand, then run "cwm clients revoke ${kind}".`;
