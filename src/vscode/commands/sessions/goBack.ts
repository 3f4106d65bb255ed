import { readableLine } from '../../../base/readableText.ts';
import { window } from 'vscode';
import { formatAge, formatTokens } from '../../../base/format.ts';
import { plural } from '../../../words/amounts.ts';
import { noRecoveryPoint, reasonWords, wentBackSentences } from '../../../words/recoveryPoints.ts';
import type { App } from '../../app.ts';
import { showDone } from '../../ui/notifications.ts';
import { command } from '../command.ts';
import { targetSession } from '../../pick/pickSession.ts';

interface Request {
  readonly session: string;
  readonly id: string;
}

/** Lets a session go back to a recovery point. Another recovery point undoes it. */
export const goBack = command('cwm.goBack', {
  async ask(app, { session: named, point }): Promise<Request | undefined> {
    const session = await targetSession(app, named, 'Let this session go back to a recovery point');
    if (session === undefined) return undefined;
    const id = point ?? (await pickPoint(app, session.id, session.title));
    return id === undefined ? undefined : { session: session.id, id };
  },
  perform: (app, request) => app.connection.call('restoreRecoveryPoint', request),
  show: (app, result) => showDone(app, wentBackSentences(result.state.session, result).join(' ')),
});

async function pickPoint(app: App, session: string, title: string): Promise<string | undefined> {
  const { items } = await app.connection.call('listRecoveryPoints', { session });
  const now = new Date();
  const rows = items.map(({ id, at, messages, tokens, reason }) => ({
    label: formatAge(at, now),
    description: [plural(messages, 'message'), formatTokens(tokens), reasonWords(reason)].join(' · '),
    id,
  }));
  const placeHolder = rows.length === 0 ? noRecoveryPoint : 'Select a recovery point';
  return (await window.showQuickPick(rows, { title: `Let "${readableLine(title)}" go back`, placeHolder }))?.id;
}
