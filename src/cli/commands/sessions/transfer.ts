import { writeFile } from 'node:fs/promises';
import { Option, type Command } from 'commander';
import { decodeText } from '../../../base/decodeText.ts';
import { readableText } from '../../../base/readableText.ts';
import { absolutePath } from '../../../client/absolutePath.ts';
import { readConversationFile } from '../../../setup/conversationFile.ts';
import type { RouteOutput } from '../../../protocol/api.ts';
import { CwmError } from '../../../protocol/errors.ts';
import { allItems } from '../../../protocol/paging.ts';
import {
  conversationFormats,
  exportFormats,
  type ConversationFormat,
} from '../../../protocol/settings/conversationFormats.ts';
import { plural } from '../../../words/amounts.ts';
import { importedKvSentences, kvRisk, kvSizeText, leftKvNote, writtenKvSentences } from '../../../words/window.ts';
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
  readonly kv?: boolean;
}

interface ExportOptions {
  readonly format: 'markdown' | (typeof exportFormats)[number];
  readonly output?: string;
  readonly kv?: boolean;
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
    .option('--kv', `take the KV in the file, too; ${kvRisk}`)
    .action((file: string, { format, id, title, project, window, kv, ...common }: ImportOptions) =>
      perform(common, async (run) => {
        const { content, kvOffset } =
          file === '-' ? { content: await run.terminal.readStdin(), kvOffset: null } : await readText(run, file);
        if (kv && kvOffset === null) throw new CwmError('InvalidParameter', `${file} has no KV.`);
        const imported = await run.call('importConversation', {
          content,
          format,
          id,
          title,
          ...(project !== undefined && { project: await run.project(project) }),
          ...run.onEngine,
        });
        if (kvOffset !== null && !kv) imported.notes.push(leftKvNote);
        if (!run.json) run.print(imported, importText);
        const taken =
          kv && kvOffset !== null
            ? await run.call(
                'importKv',
                {
                  session: imported.session.id,
                  path: absolutePath(file, run.terminal.cwd),
                  offset: kvOffset,
                  ...run.onEngine,
                },
                'Taking the KV from the file',
              )
            : null;
        if (taken && !run.json) run.print(taken, (kv) => listed(importedKvSentences(kv)));
        const shown = { ...imported, ...(taken && { kv: taken }) };
        if (window === undefined) {
          if (run.json) run.print(shown, importText);
          return;
        }
        const input = { session: imported.session.id, window, ...run.onEngine };
        const receipt = await run.call('freeze', input, 'Computing the conversation');
        if (run.json) run.print({ ...shown, receipt }, importText);
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
    .option(
      '--kv',
      'with "--format cwindow" and "--output FILE": write the KV, too, as far as the embedded model server has it on disk',
    )
    .action((session: string, { format, output, kv, ...common }: ExportOptions) =>
      perform(common, async (run) => {
        if (kv && (format !== 'cwindow' || output === undefined))
          throw new CwmError('InvalidParameter', '"--kv" needs "--format cwindow" and "--output FILE".');
        const content =
          format === 'markdown'
            ? await markdownOf(run, session)
            : (await run.call('exportConversation', { session, format })).content;
        if (output === undefined) return run.terminal.out(run.json ? `${JSON.stringify({ content })}\n` : content);
        await writeText(run, output, content);
        if (!kv) return run.print({ output }, () => `Wrote ${output}.`);
        const size = await run.call('exportKv', { session, ...run.onEngine });
        if (size.tokens > 0) run.terminal.err(`${kvSizeText(size)}\n`);
        const path = absolutePath(output, run.terminal.cwd);
        const written =
          size.tokens === 0 ? size : await run.call('exportKv', { session, path, ...run.onEngine }, 'Writing the KV');
        run.print({ output, kv: written }, () => `Wrote ${output}.\n${listed(writtenKvSentences(written))}`);
      }),
    );
}

const importText = ({ session, messages, format, notes }: RouteOutput<'importConversation'>): string =>
  listed([`Imported ${plural(messages, 'message')} (${format}) as session ${session.id}: ${session.title}`, ...notes]);

const listed = ([first = '', ...others]: readonly string[]): string =>
  [first, ...others.map((each) => `  · ${each}`)].join('\n');

async function markdownOf(run: Run, session: string): Promise<string> {
  const { title } = await run.call('getSession', { session });
  const messages = await allItems((page) => run.call('listMessages', { session, ...page }));
  return readableText(conversationText({ title, messages, earlier: 0, pending: null }));
}

async function readText(run: Run, file: string): Promise<{ content: string; kvOffset: number | null }> {
  const path = absolutePath(file, run.terminal.cwd);
  const { bytes, kvOffset } = await readConversationFile(path).catch((error: unknown) => {
    throw new CwmError('InvalidParameter', `${path} cannot be read (${(error as Error).message}).`, {
      hint: 'Check the path.',
    });
  });
  const decoded = decodeText(bytes);
  if ('text' in decoded) return { content: decoded.text, kvOffset };
  throw new CwmError('InvalidParameter', `${path} is ${decoded.why}.`);
}

async function writeText(run: Run, file: string, content: string): Promise<void> {
  const path = absolutePath(file, run.terminal.cwd);
  // A conversation is nobody else's to read, and a file that is there stays.
  await writeFile(path, content, { flag: 'wx', mode: 0o600 }).catch((error: unknown) => {
    throw new CwmError('InvalidParameter', `${path} cannot be written (${(error as Error).message}).`, {
      hint: 'Name a new file, in a folder that you can write to. A file that is there stays.',
    });
  });
}
