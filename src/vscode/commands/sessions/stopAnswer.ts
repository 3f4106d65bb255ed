import { targetSession } from '../../pick/pickSession.ts';
import { command } from '../command.ts';

/** Stops the turn of a session, or ends one that waits for a decision. What came of the answer stays. */
export const stopAnswer = command('cwm.stopAnswer', {
  async ask(app, input) {
    const session = await targetSession(app, input.session, 'Stop the answer in this session');
    return session && { session: session.id };
  },
  perform: (app, request, call) => app.connection.call('cancelTurn', request, call),
});
