import { Option, type Command } from 'commander';
import { readableLine } from '../../../base/readableText.ts';
import { memoryScopes, type MemoryScope } from '../../../protocol/memory/scopes.ts';
import type { Perform } from '../../action.ts';
import { withCommonOptions } from '../../run.ts';
import { formatTable } from '../../terminal/layout.ts';

interface OfScope {
  readonly project?: string;
  readonly session?: string;
}

interface RememberOptions extends OfScope {
  readonly scope: MemoryScope;
  readonly tool?: string;
}

/** `cwm memory remember|list|edit|forget`: small texts that somebody wants remembered. */
export function registerMemories(memory: Command, perform: Perform): void {
  const withScope = (command: Command): Command =>
    withCommonOptions(command)
      .option('--project <folder>', 'folder of the project; this one by default')
      .option('--session <session>', 'the session, where the memory is of one');

  withScope(memory.command('remember'))
    .description('remember a text of at most 2 KiB, at most 100 in each scope')
    .argument('<text>', 'what to remember')
    .addOption(new Option('--scope <scope>', 'whom it is for').choices(memoryScopes).default('project'))
    .option('--tool <name>', 'the tool that it is about, with "--scope tool"')
    .action((text: string, { scope, tool, project, session, ...common }: RememberOptions) =>
      perform(common, async (run) => {
        const input = { scope, text, tool, session, project: await run.project(project ?? '.') };
        run.print(await run.call('remember', input), ({ id }) => `Remembered as ${id} for the ${scope}.`);
      }),
    );

  withScope(memory.command('list'))
    .description('list what is remembered for the user, for tools, for the project, and for a session that is named')
    .action(({ project, session, ...common }: OfScope) =>
      perform(common, async (run) => {
        const found = await run.call('listMemories', { session, project: await run.project(project ?? '.') });
        run.print(found, ({ items }) =>
          items.length === 0
            ? 'Nothing is remembered ("cwm memory remember").'
            : formatTable({
                head: ['Memory', 'Scope', 'Version', 'Text'],
                rows: items.map(({ id, scope, tool, version, text }) => [
                  id,
                  tool === undefined ? scope : readableLine(`${scope} ${tool}`),
                  String(version),
                  readableLine(text),
                ]),
              }),
        );
      }),
    );

  withScope(memory.command('edit'))
    .description('give a memory another text')
    .argument('<memory>', 'id of the memory, like p1')
    .argument('<text>', 'its text from now on')
    .action((id: string, text: string, { project, session, ...common }: OfScope) =>
      perform(common, async (run) => {
        const input = { memoryId: id, text, session, project: await run.project(project ?? '.') };
        run.print(await run.call('editMemory', input), ({ version }) => `${id} has version ${version} now.`);
      }),
    );

  withScope(memory.command('forget'))
    .description('forget a memory')
    .argument('<memory>', 'id of the memory, like p1')
    .action((id: string, { project, session, ...common }: OfScope) =>
      perform(common, async (run) => {
        const input = { memoryId: id, session, project: await run.project(project ?? '.') };
        run.print(await run.call('forgetMemory', input), ({ text }) => `Forgot ${id}: ${readableLine(text)}`);
      }),
    );
}
