import { readFile, writeFile } from 'node:fs/promises';
import { Option, type Command } from 'commander';
import { decodeText } from '../../../base/decodeText.ts';
import { readableText } from '../../../base/readableText.ts';
import { absolutePath } from '../../../client/absolutePath.ts';
import type { RouteOutput } from '../../../protocol/api.ts';
import { CwmError } from '../../../protocol/errors.ts';
import { allItems } from '../../../protocol/paging.ts';
import {
  conversationFormats,
  exportFormats,
  type ConversationFormat,
} from '../../../protocol/settings/conversationFormats.ts';
import { plural } from '../../../words/amounts.ts';
import { conversationText } from '../../../words/conversationText.ts';
import type { Perform } from '../../action.ts';
import { receiptText } from '../../receiptText.ts';
import { type Run, withCommonOptions } from '../../run.ts';

interface ImportOptions {
  readonly format?: ConversationFormat;
  readonly id?: string;
  readonly title?: string;
  readonly project?: string;
  readonly window?: string;
}

interface ExportOptions {
  readonly format: 'markdown' | (typeof exportFormats)[number];
  readonly output?: string;
}

export function registerTransfer(program: Command, perform: Perform): void {
  withCommonOptions(program.command('import'))
    .description('create a session of a conversation that another program wrote')
    .argument('<file>', 'the file; "-" reads it from stdin')
    .addOption(new Option('--format <format>', 'default: the one that fits').choices([...conversationFormats]))
    .option('--id <id>', 'id of the session; a random one by default')
    .option('--title <text>', "title of the session; by default the file's, else its first words")
    .option('--project <folder>', 'folder of the project that the session belongs to')
    .option('--window <name>', 'have the model server compute it now, and freeze it as a window')
    .action((file: string, { format, id, title, project, window, ...common }: ImportOptions) =>
      perform(common, async (run) => {
        const content = file === '-' ? await run.terminal.readStdin() : await readText(run, file);
        const imported = await run.call('importConversation', {
          content,
          format,
          id,
          title,
          ...(project !== undefined && { project: await run.project(project) }),
          ...run.onEngine,
        });
        if (window === undefined) return run.print(imported, importText);
        if (!run.json) run.print(imported, importText);
        const input = { session: imported.session.id, window, ...run.onEngine };
        const receipt = await run.call('freeze', input, 'Computing the conversation');
        if (run.json) run.print({ ...imported, receipt }, importText);
        else run.print(receipt, receiptText);
      }),
    );

  withCommonOptions(program.command('export'))
    .description('write the conversation of a session, on its current branch')
    .argument('<session>', "the session's id")
    .addOption(
      new Option('--format <format>', 'markdown to read, cwindow to import it elsewhere, openai for other programs')
        .choices(['markdown', ...exportFormats])
        .default('markdown'),
    )
    .option('--output <file>', 'a new file; stdout by default')
    .action((session: string, { format, output, ...common }: ExportOptions) =>
      perform(common, async (run) => {
        const content =
          format === 'markdown'
            ? await markdownOf(run, session)
            : (await run.call('exportConversation', { session, format })).content;
        if (output === undefined) return run.terminal.out(run.json ? `${JSON.stringify({ content })}\n` : content);
        await writeText(run, output, content);
        run.print({ output }, () => `Wrote ${output}.`);
      }),
    );
}

const importText = ({ session, messages, format, notes }: RouteOutput<'importConversation'>): string =>
  [
    `Imported ${plural(messages, 'message')} (${format}) as session ${session.id}: ${session.title}`,
    ...notes.map((note) => `  · ${note}`),
  ].join('\n');

async function markdownOf(run: Run, session: string): Promise<string> {
  const { title } = await run.call('getSession', { session });
  const messages = await allItems((page) => run.call('listMessages', { session, ...page }));
  return readableText(conversationText({ title, messages, earlier: 0, pending: null }));
}

async function readText(run: Run, file: string): Promise<string> {
  const path = absolutePath(file, run.terminal.cwd);
  const bytes = await readFile(path).catch((error: unknown) => {
    throw new CwmError('InvalidParameter', `${path} cannot be read (${(error as Error).message}).`);
  });
  const decoded = decodeText(bytes);
  if ('text' in decoded) return decoded.text;
  throw new CwmError('InvalidParameter', `${path} is ${decoded.why}.`);
}

async function writeText(run: Run, file: string, content: string): Promise<void> {
  const path = absolutePath(file, run.terminal.cwd);
  // A conversation is nobody else's to read, and a file that is there stays.
  await writeFile(path, content, { flag: 'wx', mode: 0o600 }).catch((error: unknown) => {
    throw new CwmError('InvalidParameter', `${path} cannot be written (${(error as Error).message}).`);
  });
}
