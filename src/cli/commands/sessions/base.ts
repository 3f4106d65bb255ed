import type { Command } from 'commander';
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { absolutePath } from '../../../client/absolutePath.ts';
import { baseMadeSentences, baseSentences, movedToBaseSentence } from '../../../words/prime.ts';
import type { Perform } from '../../action.ts';
import { wholeNumber } from '../../arguments.ts';
import { withCommonOptions, withModelOption } from '../../run.ts';

/** `cwm base`: the fixed beginning of a project's sessions. */
export function registerBase(program: Command, perform: Perform): void {
  const base = program
    .command('base')
    .description(
      'show, make, renew and delete the base of a project: what each of its sessions begins with, and whose KV they share',
    );

  withCommonOptions(base.command('show'))
    .description('what the base has, and which of its files changed since it was made')
    .option('--project <folder>', 'folder of the project; this one by default')
    .action(({ project, ...common }: BaseOptions) =>
      perform(common, async (run) => {
        const found = await run.call('projectBase', { project: await run.project(project ?? '.') }, 'Comparing files');
        run.print(found, (found) => baseSentences(found).join('\n'));
      }),
    );

  const makes = {
    make: 'make it of files and folders; without any, of those that .cwm/config.json names in "prime"',
    renew:
      'make it again as the files are now, from the first difference on; sessions stay on the one that they began with',
  };
  for (const [name, description] of Object.entries(makes)) {
    withModelOption(withCommonOptions(base.command(name)))
      .description(description)
      .argument('[path...]', 'files and folders below the folder of the project')
      .option('--project <folder>', 'folder of the project; this one by default')
      .option('--max-tokens <n>', 'leave out files that would exceed this many tokens', wholeNumber(1))
      .option(
        '--memories',
        "put your memories and the project's at the end of the base; a renewal does as before unless you say",
      )
      .option('--no-memories', 'leave them out')
      .action((paths: string[], { project, maxTokens, memories, ...common }: MakeOptions) =>
        perform(common, async (run) => {
          const { cwd } = run.terminal;
          const folder = await run.project(project ?? '.');
          const root = folderOf(folder);
          const below = paths.map((path) => (root === null ? path : relative(root, absolutePath(path, cwd)) || '.'));
          const given = below.length === 0 ? {} : { paths: below };
          const input = { project: folder, ...given, maxTokens, memories, ...run.onEngine };
          const made = await run.call('makeProjectBase', input, 'Reading files');
          run.print(made, (made) => baseMadeSentences(made).join('\n'));
        }),
      );
  }

  withCommonOptions(base.command('move'))
    .description(
      "move a session to its project's renewed base, on a new branch; no word of it changes, and the branch before stays",
    )
    .argument('<session>', "the session's id")
    .option('--break-prefix', 'move it even if the model server must compute its conversation again')
    .action((session: string, { breakPrefix, ...common }: { breakPrefix?: boolean }) =>
      perform(common, async (run) => {
        const moved = await run.call('moveToBase', { session, breakPrefix }, 'Comparing tokens');
        run.print({ session: moved.id, ...moved }, movedToBaseSentence);
      }),
    );

  withCommonOptions(base.command('delete'))
    .description('let new sessions begin empty again; those that began with it stay')
    .option('--project <folder>', 'folder of the project; this one by default')
    .action(({ project, ...common }: BaseOptions) =>
      perform(common, async (run) => {
        const deleted = await run.call('deleteProjectBase', { project: await run.project(project ?? '.') });
        run.print(deleted, (deleted) => `New sessions of ${deleted.project} begin empty.`);
      }),
    );
}

interface BaseOptions {
  readonly project?: string;
}

interface MakeOptions extends BaseOptions {
  readonly maxTokens?: number;
  readonly memories?: boolean;
}

function folderOf(project: string): string | null {
  try {
    return fileURLToPath(project);
  } catch {
    return null;
  }
}
