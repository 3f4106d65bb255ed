import { type QuickPickItem, ThemeIcon, window } from 'vscode';
import type { Session } from '../../protocol/session.ts';
import type { App } from '../app.ts';
import { treeRow } from '../render/treeRow.ts';
import { createSession } from './createSession.ts';

type SessionItem = QuickPickItem & ({ readonly session: Session } | { readonly session: null });

/** The session that was named; else the active one; else the one the user picks. */
export async function targetSession(app: App, named: string | undefined, prompt: string): Promise<Session | undefined> {
  if (named !== undefined) return app.connection.call('getSession', { session: named });
  await knowActive(app);
  const { active } = app.state.current;
  // Asked for again, so that a stale state never decides what is frozen.
  if (active.kind === 'session') return app.connection.call('getSession', { session: active.session.id });
  return pickSession(app, prompt);
}

/** Lets the user pick a session, those of this folder first, or make a new one. */
export async function pickSession(app: App, prompt: string): Promise<Session | undefined> {
  const { items } = await app.connection.call('listSessions', { limit: 100 });
  const { project } = app.state.current;
  const here = project.kind === 'folder' ? project.uri : null;
  const sorted = [...items].sort((a, b) => Number(b.project === here) - Number(a.project === here));
  const choices: SessionItem[] = [
    ...sorted.map((session) => sessionItem(app, session)),
    { label: 'New Session', iconPath: new ThemeIcon('add'), alwaysShow: true, session: null },
  ];
  const chosen = await window.showQuickPick(choices, { placeHolder: prompt, matchOnDescription: true });
  if (chosen === undefined) return undefined;
  return chosen.session ?? createSession(app, {});
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

/** Right after start-up the folder's active session may not have been asked for yet. */
async function knowActive(app: App): Promise<void> {
  await app.project.settled;
  await app.connection.open();
  if (app.state.current.active.kind === 'unknown') await app.puller.active();
}
