import { window } from 'vscode';
import type { CallOptions } from '../../../client/backendClient.ts';
import { isCwmError } from '../../../protocol/errors.ts';
import type { Session } from '../../../protocol/schemas/session.ts';
import type { App } from '../../app.ts';
import { targetSession } from '../../pick/pickSession.ts';
import { command } from '../command.ts';
import { askChange, type Change } from './settingChoices.ts';

interface Request {
  readonly session: Session;
  readonly change: Change;
}

/** Changes one setting of a session. A change that breaks the prefix is made only when the user agrees to what it costs. */
export const sessionSettings = command('cwm.sessionSettings', {
  async ask(app, { session: named, ...given }): Promise<Request | undefined> {
    const session = await targetSession(app, named, 'Change the settings of this session');
    if (session === undefined) return undefined;
    const change = Object.keys(given).length > 0 ? given : await askChange(app, session);
    return change && { session, change };
  },
  perform: (app, { session, change }: Request, call) => update(app, session, change, call),
});

async function update(app: App, session: Session, change: Change, call: CallOptions): Promise<Session> {
  const input = { session: session.id, ...change };
  try {
    return await app.connection.call('updateSession', input, call);
  } catch (error) {
    if (!isCwmError(error, 'PrefixWouldBreak')) throw error;
    const yes = 'Change and Compute Again';
    const answer = await window.showWarningMessage(
      `Change "${session.title}"?`,
      { modal: true, detail: error.message },
      yes,
    );
    return answer === yes ? app.connection.call('updateSession', { ...input, breakPrefix: true }, call) : session;
  }
}
