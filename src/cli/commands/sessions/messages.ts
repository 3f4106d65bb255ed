import { Option, type Command } from 'commander';
import { CwmError } from '../../../protocol/errors.ts';
import { plural } from '../../../words/amounts.ts';
import { messagesTable } from '../../../words/conversationText.ts';
import type { Perform } from '../../action.ts';
import { notEmpty, wholeNumber } from '../../arguments.ts';
import { type Run, withCommonOptions } from '../../run.ts';
import { formatPage } from '../../terminal/layout.ts';

/** What the help says of an argument that names a message. */
export const messageHelp = 'its number or id (see "cwm session messages")';

interface MessagesOptions {
  readonly branch?: string;
  readonly last: number;
}

export function registerMessages(session: Command, perform: Perform): void {
  withCommonOptions(session.command('messages'))
    .description('list the messages of a branch: their numbers and ids, and what each took and cost')
    .argument('<session>', "the session's id")
    .option('--branch <name>', 'name of the branch; the current one by default', notEmpty)
    .addOption(new Option('--last <n>', 'the last ones only, 1 to 100').argParser(wholeNumber(1)).default(20))
    .action((id: string, { branch, last, ...common }: MessagesOptions) =>
      perform(common, async (run) => {
        const asked = { session: id, branch };
        const { total } = await run.call('listMessages', { ...asked, limit: 1 });
        const offset = Math.max(0, total - last);
        const page = await run.call('listMessages', { ...asked, limit: last, offset });
        run.print(page, ({ items }) =>
          total === 0 ? 'There are no messages yet.' : formatPage(messagesTable(items), total),
        );
      }),
    );
}

/**
 * The id of a message that was named by its number on a branch, from 1, or by its id.
 *
 * @param branch default: the current one.
 * @throws CwmError InvalidParameter where the branch has no message of that number.
 */
export async function messageId(run: Run, session: string, given: string, branch?: string): Promise<string> {
  if (!/^[1-9]\d{0,6}$/.test(given)) return given;
  const { items, total } = await run.call('listMessages', { session, branch, limit: 1, offset: Number(given) - 1 });
  const [found] = items;
  if (!found)
    throw new CwmError('InvalidParameter', `The branch has ${plural(total, 'message')}, and no number ${given}.`);
  return found.id;
}
