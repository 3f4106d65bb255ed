import type { Session } from '../../../protocol/schemas/session.ts';
import type { App } from '../../app.ts';
import { engineOfNewSessions } from '../../settings/engineSpec.ts';

/** Creates a session of the open folder, on the model server of new sessions, and makes it the current one. */
export async function createSession(app: App, names: { id?: string; title?: string }): Promise<Session> {
  await app.project.settled;
  const { project } = app.state.current;
  const session = await app.connection.call('createSession', {
    ...names,
    engine: await engineOfNewSessions(app.connection),
    project: project.kind === 'folder' ? project.uri : null,
  });
  await activate(app, session);
  return session;
}

/** Makes a session the current one of the open folder; without a folder, of this window. */
export async function activate(app: App, session: Session): Promise<void> {
  const { project, currentSession } = app.state.current;
  // Shown at once, so that the rows of the tree, whose first it is, move once and not under the user's next click.
  app.state.update({ currentSession: { kind: 'session', session } });
  if (project.kind !== 'folder') return;
  try {
    await app.connection.call('setCurrentSession', { project: project.uri, session: session.id });
  } catch (error) {
    const shown = app.state.current.currentSession;
    // Not over what another command or the backend has made the current one since.
    if (shown.kind === 'session' && shown.session.id === session.id) app.state.update({ currentSession });
    throw error;
  }
}
