import { inBackground } from '../../../base/inBackground.ts';
import type { Session } from '../../../protocol/schemas/session.ts';
import { command } from '../command.ts';
import { activate } from './createSession.ts';
import { pickToSwitch } from '../../pick/switchPick.ts';

export const switchSession = command('cwm.switchSession', {
  ask: (app, { session }) =>
    session === undefined ? pickToSwitch(app) : app.connection.call('getSession', { session }),
  async perform(app, session: Session) {
    await activate(app, session);
    const { project } = app.state.current;
    // Its KV comes back like that of a folder that is opened: nobody waits for it, and a message joins it.
    if (project.kind === 'folder')
      inBackground(app.log, 'Bringing KV back', app.connection.call('openProject', { project: project.uri }));
    return session;
  },
});
