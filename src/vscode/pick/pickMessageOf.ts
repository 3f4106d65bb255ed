import { ThemeIcon, window } from 'vscode';
import { firstWords } from '../../base/readableText.ts';
import { CwmError } from '../../protocol/errors.ts';
import type { Message, MessageRole, Session } from '../../protocol/schemas/session.ts';
import { formatStamp } from '../../words/amounts.ts';
import { speakers } from '../../words/conversationText.ts';
import type { App } from '../app.ts';

const mostListed = 100;

interface Wanted {
  readonly prompt: string;
  /** Default: any. */
  readonly role?: MessageRole;
  /** Does not ask where it is given. */
  readonly id?: string | undefined;
}

/** Lets the user pick a message of the current branch, the newest first. @throws CwmError MessageNotFound. */
export async function pickMessageOf(
  app: App,
  session: Session,
  { prompt, role, id }: Wanted,
): Promise<Message | undefined> {
  const input = { session: session.id, limit: mostListed };
  const first = await app.connection.call('listMessages', input);
  const offset = Math.max(0, first.total - mostListed);
  const { items } = offset === 0 ? first : await app.connection.call('listMessages', { ...input, offset });
  if (id !== undefined) {
    const named = items.find((message) => message.id === id);
    if (named) return named;
    throw new CwmError('MessageNotFound', `The message is not among the last ${mostListed} of "${session.title}".`);
  }
  const rows = items
    .filter((message) => role === undefined || message.role === role)
    .reverse()
    .map((message) => ({
      label: textOf(message),
      description: `${speakers[message.role]} · ${formatStamp(message.createdAt)}`,
      iconPath: new ThemeIcon(message.role === 'user' ? 'account' : 'comment'),
      message,
    }));
  const placeHolder = rows.length === 0 ? 'There is no such message' : prompt;
  return (await window.showQuickPick(rows, { placeHolder, matchOnDescription: true }))?.message;
}

function textOf({ content }: Message): string {
  const text = 'text' in content ? firstWords(content.text) : '';
  return text === '' ? 'Files or tools' : text;
}
