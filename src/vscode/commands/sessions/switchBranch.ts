import { type QuickPickItem, ThemeIcon } from 'vscode';
import { pickBranch } from '../../pick/pickBranch.ts';
import { targetSession } from '../../pick/pickSession.ts';
import { showDone } from '../../ui/notifications.ts';
import { command } from '../command.ts';

interface Request {
  readonly session: string;
  /** Null: a new one, at the end of the current branch. */
  readonly branch: string | null;
}

/** Continues a session on another of its branches, or on a new one. */
export const switchBranch = command('cwm.switchBranch', {
  async ask(app, input): Promise<Request | undefined> {
    const session = await targetSession(app, input.session, 'Switch the branch of this session');
    if (session === undefined) return undefined;
    if (input.branch !== undefined) return { session: session.id, branch: input.branch };
    const chosen = await pickBranch(app, session, 'cwm.switchBranch', () => true, [create]);
    return chosen && { session: session.id, branch: chosen.branch };
  },
  perform: (app, { session, branch }: Request, call) =>
    branch === null
      ? app.connection.call('createBranch', { session }, call)
      : app.connection.call('updateBranch', { session, branch }, call),
  show: (app, { title, activeBranch }) => showDone(app, `"${title}" is on the branch "${activeBranch}".`),
});

const create: QuickPickItem & { readonly branch: null } = {
  label: 'New Branch',
  iconPath: new ThemeIcon('add'),
  description: 'shares all messages of the current one',
  branch: null,
};
