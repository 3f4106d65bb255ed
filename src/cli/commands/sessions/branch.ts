import { Option, type Command } from 'commander';
import type { RouteOutput } from '../../../protocol/api.ts';
import { mergeWays } from '../../../protocol/settings/sessionChoices.ts';
import { plural } from '../../../words/amounts.ts';
import { branchesTable, comparisonSentences } from '../../../words/branches.ts';
import type { Perform } from '../../action.ts';
import { collect } from '../../arguments.ts';
import { withCommonOptions } from '../../run.ts';
import { messageHelp, messageId } from './messages.ts';
import { formatTable } from '../../terminal/layout.ts';

const sessionArgument = ['<session>', "the session's id"] as const;

export function registerBranch(program: Command, perform: Perform): void {
  const branch = program
    .command('branch')
    .description('branches of a session: lines of one conversation that share history');

  withCommonOptions(branch.command('list'))
    .description('list the branches of a session, and how many tokens each shares')
    .argument(...sessionArgument)
    .action((session: string, common: object) =>
      perform(common, async (run) => {
        run.print(await run.call('listBranches', { session }), ({ items }) => formatTable(branchesTable(items)));
      }),
    );

  withCommonOptions(branch.command('new'))
    .description('make a branch and switch to it')
    .argument(...sessionArgument)
    .argument('[name]', 'name of the branch; the first free one of branch-2 and so on by default')
    .option('--at <message>', `last message that it shares, ${messageHelp}; by default the last of the current branch`)
    .option('--stay', 'do not switch to it')
    .action((session: string, name: string | undefined, { at, stay, ...common }: { at?: string; stay?: boolean }) =>
      perform(common, async (run) => {
        const end = at === undefined ? undefined : await messageId(run, session, at);
        run.print(await run.call('createBranch', { session, name, at: end, switch: !stay }), onBranch);
      }),
    );

  withCommonOptions(branch.command('switch'))
    .description('continue the session on another branch')
    .argument(...sessionArgument)
    .argument('<branch>', 'name of the branch')
    .action((session: string, name: string, common: object) =>
      perform(common, async (run) => {
        run.print(await run.call('updateBranch', { session, branch: name }), onBranch);
      }),
    );

  withCommonOptions(branch.command('rename'))
    .description('give a branch another name')
    .argument(...sessionArgument)
    .argument('<branch>', 'name of the branch')
    .argument('<name>', 'its new name')
    .action((session: string, name: string, rename: string, common: object) =>
      perform(common, async (run) => {
        const changed = await run.call('updateBranch', { session, branch: name, rename });
        run.print(changed, () => `Branch ${name} is called ${rename} now.`);
      }),
    );

  withCommonOptions(branch.command('prompt'))
    .description('give a branch a system prompt of its own, or that of the session again')
    .argument(...sessionArgument)
    .argument('<branch>', 'name of the branch')
    .argument('[prompt]', 'name of the system prompt; none: that of the session')
    .option('--break-prefix', 'change it even if the model server must compute the context again')
    .action(
      (
        session: string,
        name: string,
        prompt: string | undefined,
        { breakPrefix, ...common }: { breakPrefix?: boolean },
      ) =>
        perform(common, async (run) => {
          const input = { session, branch: name, systemPrompt: prompt ?? null, breakPrefix };
          run.print(
            await run.call('updateBranch', input),
            () => `Branch ${name} has the system prompt ${prompt ?? 'of the session'}.`,
          );
        }),
    );

  withCommonOptions(branch.command('delete'))
    .description('delete a branch; its messages stay in the session')
    .argument(...sessionArgument)
    .argument('<branch>', 'name of the branch')
    .action((session: string, name: string, common: object) =>
      perform(common, async (run) => {
        run.print(await run.call('deleteBranch', { session, branch: name }), () => `Deleted branch ${name}.`);
      }),
    );

  withCommonOptions(branch.command('compare'))
    .description('show what two branches share, and what only one has')
    .argument(...sessionArgument)
    .argument('<branch>', 'name of the branch')
    .argument('[other]', 'the other branch; by default the current one')
    .action((session: string, name: string, other: string | undefined, common: object) =>
      perform(common, async (run) => {
        const compared = await run.call('compareBranches', { session, branch: name, with: other });
        run.print(compared, (found) => comparisonSentences(found).join('\n'));
      }),
    );

  withCommonOptions(branch.command('merge'))
    .description('bring messages of another branch into the current one, as copies')
    .argument(...sessionArgument)
    .argument('<branch>', 'name of the other branch')
    .addOption(
      new Option(
        '--how <way>',
        "append: its own messages behind; cherry-pick: those of --message; rebase: the active branch's own behind all of it",
      )
        .choices(mergeWays)
        .default('append'),
    )
    .option(
      '--message <id>',
      `a message to pick, ${messageHelp} on the other branch; may be given several times`,
      collect,
    )
    .action(
      (
        session: string,
        name: string,
        { how, message, ...common }: { how: (typeof mergeWays)[number]; message?: readonly string[] },
      ) =>
        perform(common, async (run) => {
          const picked = message && (await Promise.all(message.map((each) => messageId(run, session, each, name))));
          const input = { session, branch: name, how, messages: picked };
          run.print(await run.call('mergeBranch', input), onBranch);
        }),
    );

  withCommonOptions(branch.command('rollback'))
    .description('let the current branch end with an earlier message; a recovery point is made before')
    .argument(...sessionArgument)
    .argument('<message>', messageHelp)
    .action((session: string, message: string, common: object) =>
      perform(common, async (run) => {
        run.print(await run.call('rollBack', { session, message: await messageId(run, session, message) }), onBranch);
      }),
    );
}

function onBranch({ id, activeBranch, branches }: RouteOutput<'createBranch'>): string {
  const messages = branches[activeBranch]?.length ?? 0;
  return `Session ${id} is on branch ${activeBranch} (${plural(messages, 'message')}).`;
}
