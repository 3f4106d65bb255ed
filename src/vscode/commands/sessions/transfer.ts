import { Uri, window, workspace } from 'vscode';
import { decodeText } from '../../../base/decodeText.ts';
import { readableText } from '../../../base/readableText.ts';
import { CwmError } from '../../../protocol/errors.ts';
import { allItems } from '../../../protocol/paging.ts';
import type { Session } from '../../../protocol/schemas/session.ts';
import { plural } from '../../../words/amounts.ts';
import { leftKvNote } from '../../../words/window.ts';
import { conversationText } from '../../../words/conversationText.ts';
import { splitConversationFile } from '../../../setup/conversationFile.ts';
import type { App } from '../../app.ts';
import { commandTitles } from '../../contributions.ts';
import { targetSession } from '../../pick/pickSession.ts';
import { engineOfNewSessions } from '../../settings/engineSpec.ts';
import { showDone, showReceiptMessage } from '../../ui/notifications.ts';
import { defaultWindowName } from '../../pick/names.ts';
import { askWindowName } from '../windows/freeze.ts';
import { command } from '../command.ts';
import { activate } from './createSession.ts';

interface Import {
  readonly file: Uri;
  /** Null: it becomes a session alone. */
  readonly window: string | null;
}

/** Creates a session of a conversation that another program wrote, or a window: the model server computes that at once. */
export const importConversation = command('cwm.importConversation', {
  async ask(_app: App, { path, window: named }): Promise<Import | undefined> {
    const file = path === undefined ? await chooseFile() : Uri.file(path);
    if (file === undefined) return undefined;
    if (named !== undefined || !file.path.endsWith('.cwindow')) return { file, window: named ?? null };
    const chosen = await window.showQuickPick(shapes, { title: commandTitles['cwm.importConversation'] });
    if (chosen === undefined) return undefined;
    const name = chosen.isWindow ? await askWindowName('cwm.importConversation', nameOf(file)) : null;
    return name === undefined ? undefined : { file, window: name };
  },
  progress: ({ file }: Import) => ({ title: `Importing ${file.path.split('/').at(-1) ?? ''}` }),
  async perform(app, { file, window: name }: Import, call) {
    const { bytes, kvOffset } = splitConversationFile(await workspace.fs.readFile(file));
    const decoded = decodeText(bytes);
    if (!('text' in decoded)) throw new CwmError('InvalidParameter', `${file.fsPath} is ${decoded.why}.`);
    await app.project.settled;
    const { project } = app.state.current;
    const engine = await engineOfNewSessions(app.connection);
    const imported = await app.connection.call('importConversation', {
      content: decoded.text,
      engine,
      project: project.kind === 'folder' ? project.uri : null,
    });
    if (kvOffset !== null) imported.notes.push(leftKvNote);
    await activate(app, imported.session);
    if (name === null) return imported;
    const receipt = await app.connection.call('freeze', { session: imported.session.id, engine, window: name }, call);
    showReceiptMessage(app, receipt);
    return imported;
  },
  show(app, { session, messages, notes }) {
    showDone(app, [`Imported ${plural(messages, 'message')} as "${session.title}".`, ...notes].join(' '));
  },
});

const shapes = [
  { label: 'As a Session', description: 'your next message has it computed', isWindow: false },
  { label: 'As a Window…', description: 'the model server computes it now; it thaws like any other', isWindow: true },
];

const chooseFile = async (): Promise<Uri | undefined> =>
  (
    await window.showOpenDialog({
      title: commandTitles['cwm.importConversation'],
      openLabel: 'Import',
      filters: { Conversations: ['cwindow', 'json', 'jsonl'] },
    })
  )?.[0];

const nameOf = ({ path }: Uri): string =>
  defaultWindowName((path.split('/').at(-1) ?? '').replace(/\.cwindow$/, ''), new Date());

interface Export {
  readonly session: Session;
  readonly file: Uri;
}

/** Writes the conversation of a session to a file that can be imported elsewhere. */
export const exportConversation = command('cwm.exportConversation', {
  async ask(app: App, { session: named, path }): Promise<Export | undefined> {
    const session = await targetSession(app, named, 'Export the conversation of this session');
    if (session === undefined) return undefined;
    const file =
      path === undefined
        ? await window.showSaveDialog({
            title: `Export "${session.title}"`,
            filters: {
              'Conversation to import elsewhere': ['cwindow'],
              'Markdown to read': ['md'],
              'OpenAI messages': ['json'],
            },
          })
        : Uri.file(path);
    return file && { session, file };
  },
  async perform(app, { session, file }: Export) {
    const content = file.path.endsWith('.md') ? await markdownOf(app, session) : await contentOf(app, session, file);
    await workspace.fs.writeFile(file, new TextEncoder().encode(content));
    return { path: file.fsPath };
  },
  show: (app, { path }) => showDone(app, `Exported to ${path}.`),
});

async function contentOf(app: App, { id }: Session, file: Uri): Promise<string> {
  const format = file.path.endsWith('.json') ? 'openai' : 'cwindow';
  return (await app.connection.call('exportConversation', { session: id, format })).content;
}

async function markdownOf(app: App, { id, title }: Session): Promise<string> {
  const messages = await allItems((page) => app.connection.call('listMessages', { session: id, ...page }));
  return readableText(conversationText({ title, messages, earlier: 0, pending: null }));
}
