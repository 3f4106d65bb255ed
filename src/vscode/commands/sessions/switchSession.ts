import type { Session } from '../../../protocol/schemas/session.ts';
import type { CommandInput } from '../../contributions.ts';
import { command } from '../command.ts';
import { activate } from './createSession.ts';
import { pickSession } from '../../pick/pickSession.ts';

export const switchSession = command<CommandInput<'cwm.switchSession'>, Session, Session>({
  title: 'Switch Session',
  ask: (app, { session }) =>
    session === undefined
      ? pickSession(app, 'Make this session the active one')
      : app.connection.call('getSession', { session }),
  async perform(app, session) {
    await activate(app, session);
    return session;
  },
});
