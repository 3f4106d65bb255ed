import { window } from 'vscode';
import type { RouteOutput } from '../../../protocol/api.ts';
import type { CommandInput } from '../../contributions.ts';
import { showDone } from '../../ui/notifications.ts';
import { formatCount } from '../../../base/format.ts';
import { command } from '../command.ts';
import { pickExistingSession } from '../../pick/pickSession.ts';
import { trashSentence } from '../../render/trashSentence.ts';

interface Request {
  readonly session: string;
  readonly title: string;
  readonly cascade: boolean;
}

export const deleteSession = command<CommandInput<'cwm.deleteSession'>, Request, RouteOutput<'deleteSession'>>({
  title: 'Delete Session',
  async ask(app, { session: named, confirmed, cascade }) {
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
        ? 'Its messages go; it has no windows.'
        : `Its messages and its ${formatCount(windows.total)} ${windows.total === 1 ? 'window' : 'windows'} go.`;
    const yes = windows.total === 0 ? 'Delete' : 'Delete with Windows';
    const answer = await window.showWarningMessage(
      `Delete session “${session.title}”?`,
      { modal: true, detail: `${detail} ${trashSentence}` },
      yes,
    );
    return answer === yes ? { ...request, cascade: windows.total > 0 } : undefined;
  },
  async perform(app, { session, cascade }) {
    const deleted = await app.connection.call('deleteSession', { session, cascade });
    await app.puller.all();
    return deleted;
  },
  show: (app, _deleted, { title }) => showDone(app, `Session “${title}” was deleted.`),
});
