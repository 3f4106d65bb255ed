import { readableLine } from '../../../base/readableText.ts';
import { type QuickPickItem, window } from 'vscode';
import { durationExample, parseDuration } from '../../../base/parseDuration.ts';
import { expirySentence } from '../../../words/session.ts';
import { commandTitles } from '../../contributions.ts';
import { showDone } from '../../ui/notifications.ts';
import { command } from '../command.ts';
import { targetSession } from '../../pick/pickSession.ts';

interface Request {
  readonly session: string;
  /** ISO 8601; null: never. */
  readonly expiresAt: string | null;
}

interface ExpiryItem extends QuickPickItem {
  /** A duration, `never`, or one that the user types. */
  readonly after: string | null;
}

const choices: readonly ExpiryItem[] = [
  { label: 'Never', after: 'never' },
  { label: 'In 1 day', after: '1d' },
  { label: 'In 7 days', after: '7d' },
  { label: 'In 30 days', after: '30d' },
  { label: 'After another time…', after: null },
];

/** Changes when a session expires: it takes no more turns then, and nothing of it is deleted. An expired session is open again. */
export const setExpiry = command('cwm.setExpiry', {
  async ask(app, { session: named, expiresAt, never }): Promise<Request | undefined> {
    const session = await targetSession(app, named, 'Set when this session expires');
    if (session === undefined) return undefined;
    if (never === true) return { session: session.id, expiresAt: null };
    if (expiresAt !== undefined) return { session: session.id, expiresAt };
    const after = await askAfter(session.title);
    if (after === undefined) return undefined;
    const ms = parseDuration(after);
    return { session: session.id, expiresAt: ms === null ? null : new Date(Date.now() + ms).toISOString() };
  },
  perform: (app, request) => app.connection.call('setExpiry', request),
  show: (app, { title, expiresAt }) => showDone(app, expirySentence(`"${title}"`, expiresAt)),
});

/** A duration, or `never`. */
async function askAfter(title: string): Promise<string | undefined> {
  const placeHolder = 'It takes no more messages then. Nothing is deleted.';
  const chosen = await window.showQuickPick(choices, {
    title: `When does "${readableLine(title)}" expire?`,
    placeHolder,
  });
  if (chosen?.after !== null) return chosen?.after;
  const answer = await window.showInputBox({
    title: commandTitles['cwm.setExpiry'],
    prompt: `A time from now, like ${durationExample}.`,
    validateInput: (value) => (parseDuration(value.trim()) === null ? `Enter a time like ${durationExample}.` : null),
  });
  return answer?.trim();
}
