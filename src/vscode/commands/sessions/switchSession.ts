import type { Session } from '../../../protocol/schemas/session.ts';
import { command } from '../command.ts';
import { activate } from './createSession.ts';
import { pickSession } from '../../pick/pickSession.ts';

export const switchSession = command('cwm.switchSession', {
  ask: (app, { session }) =>
    session === undefined
      ? pickSession(app, 'Make this session the current one')
      : app.connection.call('getSession', { session }),
  async perform(app, session: Session) {
    await activate(app, session);
    return session;
  },
});
