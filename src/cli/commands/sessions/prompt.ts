import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { formatCount } from '../../../base/format.ts';
import { readableLine } from '../../../base/readableText.ts';
import { absolutePath } from '../../../client/absolutePath.ts';
import { CwmError } from '../../../protocol/errors.ts';
import type { Perform } from '../../action.ts';
import { withCommonOptions } from '../../run.ts';
import { formatTable } from '../../terminal/layout.ts';

export function registerPrompt(program: Command, perform: Perform): void {
  const prompt = program.command('prompt').description('named system prompts, which sessions can be given');

  withCommonOptions(prompt.command('list'))
    .description('list system prompts; "default" is that of sessions which name none')
    .action((common: object) =>
      perform(common, async (run) => {
        run.print(await run.call('listPrompts', {}), ({ items }) =>
          formatTable({
            head: ['Prompt', 'Characters', 'Begins with'],
            rows: items.map(({ id, text }) => [id, formatCount(text.length), readableLine(text.slice(0, 60))]),
          }),
        );
      }),
    );

  withCommonOptions(prompt.command('show'))
    .description('print a system prompt')
    .argument('<name>', 'name of the prompt')
    .action((name: string, common: object) =>
      perform(common, async (run) => {
        const { items } = await run.call('listPrompts', {});
        const found = items.find(({ id }) => id === name);
        if (!found) throw new CwmError('PromptNotFound', `There is no system prompt "${name}".`);
        run.print(found, ({ text }) => text);
      }),
    );

  withCommonOptions(prompt.command('set'))
    .description('create or replace a system prompt; sessions that have it retain the earlier text')
    .argument('<name>', 'name of the prompt')
    .argument('[text]', 'the prompt; "-" reads it from stdin')
    .option('--file <path>', 'read the prompt from a file')
    .action((name: string, given: string | undefined, { file, ...common }: { file?: string }, command: Command) => {
      if ((given === undefined) === (file === undefined)) {
        command.error('error: give the text of the prompt or --file <path>', { exitCode: 2 });
      }
      return perform(common, async (run) => {
        const { terminal } = run;
        const text =
          file !== undefined
            ? await readFile(absolutePath(file, terminal.cwd), 'utf8')
            : given === '-'
              ? await terminal.readStdin()
              : (given ?? '');
        const stored = await run.call('putPrompt', { prompt: name, text });
        run.print(stored, ({ id }) => `Stored system prompt ${id}. Sessions get it with "cwm session set".`);
      });
    });

  withCommonOptions(prompt.command('delete'))
    .description('move a system prompt to the trash; sessions that have it retain its text')
    .argument('<name>', 'name of the prompt')
    .action((name: string, common: object) =>
      perform(common, async (run) => {
        await run.call('deletePrompt', { prompt: name });
        run.print({ prompt: name }, ({ prompt: deleted }) => `Deleted system prompt ${deleted}.`);
      }),
    );
}
