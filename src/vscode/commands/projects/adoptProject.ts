import { type QuickPickItem, ThemeIcon, window } from 'vscode';
import { readableLine } from '../../../base/readableText.ts';
import { CwmError } from '../../../protocol/errors.ts';
import { plural } from '../../../words/amounts.ts';
import { adoptedSentence, likenessWords } from '../../../words/session.ts';
import type { App } from '../../app.ts';
import { showDone } from '../../ui/notifications.ts';
import { command } from '../command.ts';
import { openFolderOf } from './openFolderOf.ts';

interface Request {
  readonly project: string;
  readonly from: string;
}

interface ProjectItem extends QuickPickItem {
  readonly from: string;
  readonly sessions: number;
}

/** The user says that another project is this folder: it was moved or renamed, or two are to be one. */
export const adoptProject = command('cwm.adoptProject', {
  async ask(app, { from, confirmed }): Promise<Request | undefined> {
    const { uri: project, name } = await openFolderOf(app);
    if (from !== undefined && confirmed) return { project, from };
    const items = await others(app, project);
    if (items.length === 0) throw new CwmError('InvalidParameter', 'There is no other project with sessions.');
    const chosen =
      from === undefined
        ? await window.showQuickPick(items, {
            title: `Which Project Is ${readableLine(name)}?`,
            placeHolder: 'Its sessions and windows come to this folder',
            matchOnDetail: true,
          })
        : items.find((item) => item.from === from);
    if (!chosen) return undefined;
    const what = `${plural(chosen.sessions, 'session')} of ${chosen.label}`;
    const detail = 'Their windows follow them. The other project is forgotten; its folder stays as it is.';
    const answer = await window.showWarningMessage(`Bring ${what} here?`, { modal: true, detail }, 'Bring Here');
    return answer === undefined ? undefined : { project, from: chosen.from };
  },
  perform: (app, { project, from }: Request, call) => app.connection.call('adoptProject', { project, from }, call),
  show: (app, adopted) => showDone(app, adoptedSentence(adopted)),
});

/** Those that may be this one first. */
async function others(app: App, project: string): Promise<ProjectItem[]> {
  const { candidates } = await app.connection.call('findProject', { folder: project });
  const { items } = await app.connection.call('listProjects', {});
  const likely = new Map(candidates.map((each) => [each.project, each.why]));
  const rank = (uri: string): number => [...likely.keys()].indexOf(uri) + (likely.has(uri) ? 0 : likely.size + 1);
  return items
    .filter((each) => each.project !== project && each.sessions > 0)
    .sort((a, b) => rank(a.project) - rank(b.project))
    .map(({ project: from, name, sessions, isGone }) => {
      const why = likely.get(from);
      const facts = [
        plural(sessions, 'session'),
        ...(why ? [likenessWords[why]] : []),
        ...(isGone ? ['not there any more'] : []),
      ];
      return {
        label: readableLine(name),
        description: facts.join(' · '),
        detail: from,
        iconPath: new ThemeIcon(why ? 'lightbulb' : 'folder'),
        from,
        sessions,
      };
    });
}
