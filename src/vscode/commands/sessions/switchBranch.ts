import { readableLine } from '../../../base/readableText.ts';
import { ThemeIcon, window } from 'vscode';
import { formatTokens } from '../../../base/format.ts';
import type { Session } from '../../../protocol/schemas/session.ts';
import { plural } from '../../../words/amounts.ts';
import { sharedWords } from '../../../words/branches.ts';
import type { App } from '../../app.ts';
import { commandTitles } from '../../contributions.ts';
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
    return pickBranch(app, session);
  },
  perform: (app, { session, branch }: Request, call) =>
    branch === null
      ? app.connection.call('createBranch', { session }, call)
      : app.connection.call('updateBranch', { session, branch }, call),
  show: (app, { title, activeBranch }) => showDone(app, `"${title}" is on the branch "${activeBranch}".`),
});

async function pickBranch(app: App, { id, title }: Session): Promise<Request | undefined> {
  const { items } = await app.connection.call('listBranches', { session: id });
  const rows = items.map((branch) => ({
    label: branch.name,
    iconPath: new ThemeIcon(branch.active ? 'check' : 'git-branch'),
    description: [
      plural(branch.length, 'message'),
      ...(branch.tokens === null ? [] : [formatTokens(branch.tokens)]),
      ...(branch.sharedWith === null ? [] : [`shares ${sharedWords(branch)}`]),
    ].join(' · '),
    branch: branch.name as string | null,
  }));
  const create = {
    label: 'New Branch',
    iconPath: new ThemeIcon('add'),
    description: 'shares all messages of the current one',
    branch: null,
  };
  const chosen = await window.showQuickPick([...rows, create], {
    title: commandTitles['cwm.switchBranch'],
    placeHolder: `Select a branch of "${readableLine(title)}"`,
  });
  return chosen && { session: id, branch: chosen.branch };
}
