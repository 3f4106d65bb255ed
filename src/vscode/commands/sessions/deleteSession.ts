import { readableLine } from '../../../base/readableText.ts';
import { window } from 'vscode';
import { showDone } from '../../ui/notifications.ts';
import { plural } from '../../../words/amounts.ts';
import { sessionDeletedSentence } from '../../../words/trash.ts';
import { command } from '../command.ts';
import { pickExistingSession } from '../../pick/pickSession.ts';
import { trashSentence } from '../../../words/trash.ts';

interface Request {
  readonly session: string;
  readonly title: string;
  readonly cascade: boolean;
  readonly forever?: boolean;
}

/** Its text cannot be restored then. */
const forever = 'Delete Forever';

export const deleteSession = command('cwm.deleteSession', {
  async ask(app, { session: named, confirmed, cascade }): Promise<Request | undefined> {
    const session =
      named === undefined
        ? await pickExistingSession(app, 'Delete this session')
        : await app.connection.call('getSession', { session: named });
    if (session === undefined) return undefined;
    const request = { session: session.id, title: session.title };
    if (confirmed === true) return { ...request, cascade: cascade ?? false };
    const windows = await app.connection.call('listWindows', { session: session.id, limit: 1 });
    const detail =
      windows.total === 0
        ? 'This deletes its messages. It has no windows.'
        : `This deletes its messages and its ${plural(windows.total, 'window')}.`;
    const yes = windows.total === 0 ? 'Delete' : 'Delete with Windows';
    const answer = await window.showWarningMessage(
      `Delete session "${readableLine(session.title)}"?`,
      { modal: true, detail: `${detail} ${trashSentence}` },
      yes,
      forever,
    );
    if (answer === undefined) return undefined;
    return { ...request, cascade: windows.total > 0, forever: answer === forever };
  },
  perform: (app, { session, cascade, forever }) =>
    app.connection.call('deleteSession', { session, cascade, ...(forever && { forever }) }),
  show: (app, deleted, { title }) => showDone(app, sessionDeletedSentence(`"${title}"`, deleted)),
});
