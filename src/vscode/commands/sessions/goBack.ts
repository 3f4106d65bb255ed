import { window } from 'vscode';
import type { RouteOutput } from '../../../protocol/api.ts';
import type { RecoveryPointSummary, RecoveryReason } from '../../../protocol/schemas/tracker.ts';
import { formatAge, formatCount, formatTokens } from '../../../base/format.ts';
import type { App } from '../../app.ts';
import type { CommandInput } from '../../contributions.ts';
import { showDone } from '../../ui/notifications.ts';
import { command } from '../command.ts';
import { targetSession } from '../../pick/pickSession.ts';

interface Request {
  readonly session: string;
  readonly id: string;
}

/** Takes a session back to how it was at a recovery point; that can be undone the same way. */
export const goBack = command<CommandInput<'cwm.goBack'>, Request, RouteOutput<'restoreRecoveryPoint'>>({
  title: 'Go Back to a Recovery Point',
  async ask(app, { session: named, point }) {
    const session = await targetSession(app, named, 'Take this session back');
    if (session === undefined) return undefined;
    const id = point ?? (await pickPoint(app, session.id, session.title));
    return id === undefined ? undefined : { session: session.id, id };
  },
  async perform(app, request) {
    const restored = await app.connection.call('restoreRecoveryPoint', request);
    await app.puller.all();
    return restored;
  },
  show: (app, { restored, undo }) =>
    showDone(
      app,
      `The session is as it was ${formatAge(restored.at, new Date())}: ${formatCount(restored.messages)} messages.` +
        (undo === null ? '' : ' How it was before is the newest recovery point now.'),
    ),
});

const reasons: Readonly<Record<RecoveryReason, string>> = {
  update: 'before its state was changed',
  turn: 'before a turn',
  restore: 'before going back',
  request: 'made by hand',
};

async function pickPoint(app: App, session: string, title: string): Promise<string | undefined> {
  const { items } = await app.connection.call('listRecoveryPoints', { session });
  const now = new Date();
  const rows = items.map((point: RecoveryPointSummary) => ({
    label: formatAge(point.at, now),
    description: `${formatCount(point.messages)} messages · ${formatTokens(point.tokens)} · ${reasons[point.reason]}`,
    id: point.id,
  }));
  const placeHolder = rows.length === 0 ? 'There is no recovery point yet' : 'To how it was';
  return (await window.showQuickPick(rows, { title: `Take “${title}” back`, placeHolder }))?.id;
}
