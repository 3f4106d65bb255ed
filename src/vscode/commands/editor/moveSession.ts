import { type QuickPickItem, ThemeIcon, window } from 'vscode';
import { readableLine } from '../../../base/readableText.ts';
import type { App } from '../../app.ts';
import { targetSession } from '../../pick/pickSession.ts';
import { movedSentence } from '../../../words/session.ts';
import { plural } from '../../../words/amounts.ts';
import { showDone } from '../../ui/notifications.ts';
import { command } from '../command.ts';

interface Request {
  readonly session: string;
  readonly project: string | null;
}

interface ProjectItem extends QuickPickItem {
  readonly project: string | null;
}

/** Moves a session to another project, with its windows; what a drop in the tree does. */
export const moveSession = command('cwm.moveSession', {
  async ask(app, { session: named, project }): Promise<Request | undefined> {
    const session = await targetSession(app, named, 'Move this session to another project');
    if (session === undefined) return undefined;
    if (project !== undefined) return { session: session.id, project: project === '' ? null : project };
    const items = await projectItems(app, session.project);
    const title = `Move "${readableLine(session.title)}" to Which Project?`;
    const chosen = await window.showQuickPick(items, { title, placeHolder: 'Its windows follow it' });
    return chosen && { session: session.id, project: chosen.project };
  },
  perform: (app, request) => app.connection.call('moveSession', request),
  show: (app, session) => showDone(app, movedSentence(session)),
});

/** This folder first, then those that have sessions; not the one where the session is. */
async function projectItems(app: App, present: string | null): Promise<ProjectItem[]> {
  const { items } = await app.connection.call('listProjects', {});
  const { project: open } = app.state.current;
  const here: ProjectItem[] =
    open.kind === 'folder'
      ? [{ label: open.name, description: 'this folder', iconPath: new ThemeIcon('folder-opened'), project: open.uri }]
      : [];
  const others = items
    .filter(({ project, sessions }) => sessions > 0 && project !== here[0]?.project)
    .map(({ project, name, sessions }) => ({
      label: readableLine(name),
      description: plural(sessions, 'session'),
      detail: project,
      iconPath: new ThemeIcon('folder'),
      project,
    }));
  const none: ProjectItem = { label: 'No Project', iconPath: new ThemeIcon('circle-slash'), project: null };
  return [...here, ...others, none].filter(({ project }) => project !== present);
}
