import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { type QuickPickItem, ThemeIcon, window } from 'vscode';
import { readableLine } from '../../../base/readableText.ts';
import type { RouteOutput } from '../../../protocol/api.ts';
import { CwmError } from '../../../protocol/errors.ts';
import { baseMadeSentences, baseSentences } from '../../../words/prime.ts';
import { workedInFolder } from '../../following/project.ts';
import { pickPaths } from '../../pick/pickPaths.ts';
import { showDone } from '../../ui/notifications.ts';
import { command } from '../command.ts';
import { openFolderOf } from './openFolderOf.ts';

const actions = ['show', 'make', 'renew', 'delete'] as const;
type Action = (typeof actions)[number];
type Base = RouteOutput<'projectBase'>;

interface Request {
  readonly project: string;
  readonly name: string;
  readonly action: Action;
  /** Relative to the folder of the project; undefined: as before, or those that the configuration names. */
  readonly paths?: readonly string[];
  /** Whether memories stand at its end; undefined: as before. */
  readonly memories?: boolean;
}

interface ActionItem extends QuickPickItem {
  readonly action: Action;
  readonly picks?: true;
  readonly memories?: boolean;
}

/** The fixed beginning of the folder's new sessions: shows what it has and what changed, makes, renews and deletes it. */
export const projectBase = command('cwm.projectBase', {
  async ask(app, { action: given, paths, memories, confirmed }): Promise<Request | undefined> {
    const { uri: project, name } = await openFolderOf(app);
    const named = actions.find((each) => each === given);
    if (given !== undefined && !named)
      throw new CwmError('InvalidParameter', `"action" must be one of ${actions.join(', ')}.`);
    const of = {
      project,
      name,
      ...(paths && { paths: below(project, paths) }),
      ...(memories !== undefined && { memories }),
    };
    if (named && (named !== 'delete' || confirmed)) return { ...of, action: named };
    const chosen: Pick<ActionItem, 'action' | 'picks' | 'memories'> | undefined = named
      ? { action: named }
      : await askAction(await app.connection.call('projectBase', { project }), name);
    if (!chosen) return undefined;
    if (chosen.action === 'delete' && !(await confirm(name))) return undefined;
    if (!chosen.picks)
      return { ...of, action: chosen.action, ...(chosen.memories !== undefined && { memories: chosen.memories }) };
    const picked = await pickPaths(app, workedInFolder());
    return picked && picked.length > 0 ? { ...of, action: chosen.action, paths: below(project, picked) } : undefined;
  },
  progress: ({ action, name }: Request) => ({
    title: action === 'make' || action === 'renew' ? `Computing the base of ${name}` : `Looking at the base of ${name}`,
  }),
  async perform(app, { project, action, paths, memories }: Request, call) {
    if (action === 'delete') await app.connection.call('deleteProjectBase', { project }, call);
    if (action === 'make' || action === 'renew') {
      const given = { project, ...(paths && { paths: [...paths] }), ...(memories !== undefined && { memories }) };
      const made = await app.connection.call('makeProjectBase', given, call);
      for (const line of baseMadeSentences(made)) app.log.info(line);
    }
    return app.connection.call('projectBase', { project }, call);
  },
  show(app, found, { action, name }) {
    if (action === 'delete') showDone(app, `New sessions of ${readableLine(name)} begin empty.`);
    else showDone(app, baseSentences(found, inEditor)[0] ?? '');
  },
});

/** What the sentences offer here, where the command line names a command. */
const inEditor = { make: 'Make it of its files.', renew: 'Renew it to have them.' };

async function askAction(found: Base, name: string): Promise<ActionItem | undefined> {
  const [head = '', ...rest] = baseSentences(found, inEditor);
  const ofFiles: ActionItem = {
    label: 'Make of Files…',
    description: 'you choose them',
    iconPath: new ThemeIcon('files'),
    action: 'make',
    picks: true,
  };
  const items: ActionItem[] = found.base
    ? [
        {
          label: 'Renew',
          description: 'from the first difference on; sessions stay on the one that they began with',
          detail: rest.slice(1).join(' '),
          iconPath: new ThemeIcon('refresh'),
          action: 'renew',
        },
        {
          label: found.base.memories ? 'Renew without Memories' : 'Renew with Memories',
          description: found.base.memories
            ? "remove your memories and the project's from the base"
            : "put your memories and the project's at the end of the base",
          iconPath: new ThemeIcon('lightbulb'),
          action: 'renew',
          memories: !found.base.memories,
        },
        ofFiles,
        {
          label: 'Delete',
          description: 'new sessions begin empty; those that began with it stay',
          iconPath: new ThemeIcon('trash'),
          action: 'delete',
        },
      ]
    : [
        {
          label: 'Make of Configured Files',
          description: 'those that .cwm/config.json names in "prime"',
          iconPath: new ThemeIcon('settings-gear'),
          action: 'make',
        },
        ofFiles,
      ];
  return window.showQuickPick(items, { title: `Base of ${readableLine(name)}`, placeHolder: head });
}

const confirm = async (name: string): Promise<boolean> =>
  (await window.showWarningMessage(
    `Delete the base of ${readableLine(name)}?`,
    { modal: true, detail: 'New sessions begin empty then. Sessions that began with it stay as they are.' },
    'Delete',
  )) === 'Delete';

/** Each path relative to the folder of the project, which may be above the one that is open. */
function below(project: string, paths: readonly string[]): string[] {
  if (!project.startsWith('file:')) return [...paths];
  const root = fileURLToPath(project);
  return paths.map((each) => (path.isAbsolute(each) ? path.relative(root, each) || '.' : each));
}
