import { CwmError } from '../../../protocol/errors.ts';
import { command } from '../command.ts';

/** Brings the KV of the folder's current session back, whatever it costs. The status bar says when it is there. */
export const loadKv = command('cwm.loadKv', {
  async ask(app) {
    await app.project.settled;
    const { project } = app.state.current;
    if (project.kind === 'folder') return project.uri;
    throw new CwmError('InvalidParameter', 'No folder is open.', { hint: 'Open the folder of the session first.' });
  },
  async perform(app, project) {
    const { session, warming } = await app.connection.call('openProject', { project, insist: true });
    if (session && warming)
      app.state.update({ warmings: new Map(app.state.current.warmings).set(session.id, warming) });
    return undefined;
  },
});
