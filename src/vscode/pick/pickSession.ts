import { type QuickPickItem, ThemeIcon, window } from 'vscode';
import type { RouteInput } from '../../protocol/api.ts';
import type { Session } from '../../protocol/schemas/session.ts';
import type { App } from '../app.ts';
import { commandTitles } from '../contributions.ts';
import { treeRow } from '../render/treeRow.ts';
import { createSession } from '../commands/sessions/createSession.ts';

/** At most this many of this folder, and of all folders. */
const mostListed = 100;

type SessionItem = QuickPickItem & ({ readonly session: Session } | { readonly session: null });

/** The named session; else the current one; else the one that the user picks. */
export async function targetSession(app: App, named: string | undefined, prompt: string): Promise<Session | undefined> {
  if (named !== undefined) return app.connection.call('getSession', { session: named });
  return (await currentSession(app)) ?? pickSession(app, prompt);
}

/** The current session of the folder, fetched again, so that a stale state never decides what is frozen; undefined when there is none. */
export async function currentSession(app: App): Promise<Session | undefined> {
  await learnCurrent(app);
  const shown = app.state.current.currentSession;
  return shown.kind === 'session' ? app.connection.call('getSession', { session: shown.session.id }) : undefined;
}

/**
 * The named session, else the current one, as the editor shows it: signals keep that up to date, and the backend refuses what the
 * session no longer allows. Undefined when it is not shown.
 */
export function shownSession(app: App, named: string | undefined): Session | undefined {
  if (!app.connection.isOpen) return undefined;
  const { currentSession, sessions } = app.state.current;
  const current = currentSession.kind === 'session' ? currentSession.session : undefined;
  if (named === undefined || named === current?.id) return current;
  return sessions.kind === 'loaded' ? sessions.items.find(({ id }) => id === named) : undefined;
}

/** Lets the user pick a session, those of this folder first, or create one. */
async function pickSession(app: App, prompt: string): Promise<Session | undefined> {
  const newSession: SessionItem = {
    label: commandTitles['cwm.newSession'],
    iconPath: new ThemeIcon('add'),
    alwaysShow: true,
    session: null,
  };
  const chosen = await showSessions([...(await sessionItems(app, {})), newSession], prompt);
  if (chosen === undefined) return undefined;
  return chosen.session ?? createSession(app, {});
}

/** Lets the user pick an existing session; `lifecycle` limits the choice. */
export async function pickExistingSession(
  app: App,
  prompt: string,
  filter: Pick<RouteInput<'listSessions'>, 'lifecycle'> = {},
): Promise<Session | undefined> {
  const items = await sessionItems(app, filter);
  return (await showSessions(items, items.length === 0 ? 'There is no such session' : prompt))?.session ?? undefined;
}

const showSessions = (items: readonly SessionItem[], placeHolder: string): Thenable<SessionItem | undefined> =>
  window.showQuickPick(items, { placeHolder, matchOnDescription: true });

/** This folder's sessions first, even if other folders have newer ones. */
async function sessionItems(app: App, filter: Pick<RouteInput<'listSessions'>, 'lifecycle'>): Promise<SessionItem[]> {
  const { project } = app.state.current;
  const page = { ...filter, limit: mostListed };
  const [here, all] = await Promise.all([
    project.kind === 'folder' ? app.connection.call('listSessions', { ...page, project: project.uri }) : { items: [] },
    app.connection.call('listSessions', page),
  ]);
  const byId = new Map([...here.items, ...all.items].map((session) => [session.id, session]));
  return [...byId.values()].map((session) => sessionItem(app, session));
}

function sessionItem(app: App, session: Session): SessionItem {
  const row = treeRow({ kind: 'session', session: session.id, value: session }, app.state.current, new Date());
  return {
    label: row.label,
    description: row.description,
    ...(row.icon === null ? {} : { iconPath: new ThemeIcon(row.icon) }),
    session,
  };
}

/** Right after the start the folder's current session may be unknown. */
async function learnCurrent(app: App): Promise<void> {
  await app.project.settled;
  await app.connection.open();
  if (app.state.current.currentSession.kind === 'unknown') await app.puller.currentSession();
}
