import { Uri, window, workspace } from 'vscode';
import { decodeText } from '../../../base/decodeText.ts';
import { readableLine, readableText } from '../../../base/readableText.ts';
import { CwmError } from '../../../protocol/errors.ts';
import { allItems } from '../../../protocol/paging.ts';
import type { Session } from '../../../protocol/schemas/session.ts';
import { plural } from '../../../words/amounts.ts';
import { importedKvSentences, kvRisk, kvSizeText, leftKvNote, writtenKvSentences } from '../../../words/window.ts';
import { conversationText } from '../../../words/conversationText.ts';
import { type ConversationFile, readConversationFile, splitConversationFile } from '../../../setup/conversationFile.ts';
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
  /** Whether the KV in the file comes in, too. */
  readonly kv: boolean;
}

/** Creates a session of a conversation that another program wrote, or a window: the model server computes that at once. */
export const importConversation = command('cwm.importConversation', {
  async ask(_app: App, { path, window: named, kv: given }): Promise<Import | undefined> {
    const file = path === undefined ? await chooseFile() : Uri.file(path);
    if (file === undefined) return undefined;
    const asks = named === undefined && file.path.endsWith('.cwindow');
    const chosen = asks
      ? await window.showQuickPick(shapes, { title: commandTitles['cwm.importConversation'] })
      : { isWindow: false };
    if (chosen === undefined) return undefined;
    const name = chosen.isWindow ? await askWindowName('cwm.importConversation', nameOf(file)) : (named ?? null);
    if (name === undefined) return undefined;
    const kv = given ?? (asks ? await askToTakeKv(file) : false);
    return kv === undefined ? undefined : { file, window: name, kv };
  },
  progress: ({ file }: Import) => ({ title: `Importing ${file.path.split('/').at(-1) ?? ''}` }),
  async perform(app, { file, window: name, kv }: Import, call) {
    const { bytes, kvOffset } = await read(file);
    const decoded = decodeText(bytes);
    if (!('text' in decoded)) throw new CwmError('InvalidParameter', `${file.fsPath} is ${decoded.why}.`);
    if (kv && kvOffset === null) throw new CwmError('InvalidParameter', `${file.fsPath} has no KV.`);
    await app.project.settled;
    const { project } = app.state.current;
    const engine = await engineOfNewSessions(app.connection);
    const imported = await app.connection.call('importConversation', {
      content: decoded.text,
      engine,
      project: project.kind === 'folder' ? project.uri : null,
    });
    const session = imported.session.id;
    if (kvOffset !== null && kv) {
      const input = { session, path: file.fsPath, offset: kvOffset, engine };
      imported.notes.push(...importedKvSentences(await app.connection.call('importKv', input, call)));
    } else if (kvOffset !== null) imported.notes.push(leftKvNote);
    await activate(app, imported.session);
    if (name === null) return imported;
    const receipt = await app.connection.call('freeze', { session, engine, window: name }, call);
    showReceiptMessage(app, receipt);
    return imported;
  },
  show(app, { session, messages, notes }) {
    showDone(app, [`Imported ${plural(messages, 'message')} as "${session.title}".`, ...notes].join(' '));
  },
});

/** The backend reads KV from a file of its machine, where the extension runs, too. */
const isHere = (file: Uri): boolean => file.scheme === 'file';

/** The text alone, where the file can be read in parts: KV may be many times as large. */
const read = async (file: Uri): Promise<ConversationFile> =>
  isHere(file) ? readConversationFile(file.fsPath) : splitConversationFile(await workspace.fs.readFile(file));

/** Whether the user wants the KV in the file; false where it has none. */
async function askToTakeKv(file: Uri): Promise<boolean | undefined> {
  if (!isHere(file) || (await read(file)).kvOffset === null) return false;
  const options = { title: commandTitles['cwm.importConversation'], placeHolder: 'The file has KV beside its text' };
  return (await window.showQuickPick(kvToTake, options))?.kv;
}

const kvToTake = [
  { label: 'Leave the KV in the File', detail: 'your model server computes the conversation', kv: false },
  { label: 'Take the KV, Too', detail: kvRisk, kv: true },
];

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
  /** Whether it gets the KV, too. */
  readonly kv: boolean;
}

/** Writes the conversation of a session to a file that can be imported elsewhere. */
export const exportConversation = command('cwm.exportConversation', {
  async ask(app: App, { session: named, path, kv: given }): Promise<Export | undefined> {
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
    if (file === undefined) return undefined;
    if (given && !takesKv(file)) throw new CwmError('InvalidParameter', `${file.fsPath} is no .cwindow file on disk.`);
    const kv = given ?? (path === undefined && takesKv(file) ? await askToWriteKv(app, session) : false);
    return kv === undefined ? undefined : { session, file, kv };
  },
  progress: ({ file, kv }: Export) => ({ title: `Exporting ${file.path.split('/').at(-1) ?? ''}`, isQuiet: !kv }),
  async perform(app, { session, file, kv }: Export, call) {
    const content = file.path.endsWith('.md') ? await markdownOf(app, session) : await contentOf(app, session, file);
    await workspace.fs.writeFile(file, new TextEncoder().encode(content));
    const path = file.fsPath;
    if (!kv) return { path, notes: [] };
    const written = await app.connection.call('exportKv', { session: session.id, path }, call);
    return { path, notes: writtenKvSentences(written) };
  },
  show: (app, { path, notes }) => showDone(app, [`Exported to ${path}.`, ...notes].join(' ')),
});

const takesKv = (file: Uri): boolean => isHere(file) && !/\.(?:md|json)$/.test(file.path);

/** Whether the user wants the KV in the file, whose size they see first. */
async function askToWriteKv(app: App, { id, title, engine, tokens }: Session): Promise<boolean | undefined> {
  if (tokens === null || !engine.startsWith('embedded')) return false;
  const options = { title: commandTitles['cwm.exportConversation'], placeHolder: 'Select what the file gets' };
  const chosen = await window.showQuickPick(kvToWrite, options);
  if (!chosen?.kv) return chosen?.kv;
  const size = await app.connection.call('exportKv', { session: id });
  const yes = 'Export with KV';
  const detail = [...(size.tokens > 0 ? [kvSizeText(size)] : []), ...size.notes].join(' ');
  const question = `Export "${readableLine(title)}" with its KV?`;
  return (await window.showInformationMessage(question, { modal: true, detail }, yes)) === yes || undefined;
}

const kvToWrite = [
  { label: 'Text Only', detail: 'another machine computes it again', kv: false },
  { label: 'Text and KV…', detail: 'for a machine with the same model; shows its size first', kv: true },
];

async function contentOf(app: App, { id }: Session, file: Uri): Promise<string> {
  const format = file.path.endsWith('.json') ? 'openai' : 'cwindow';
  return (await app.connection.call('exportConversation', { session: id, format })).content;
}

async function markdownOf(app: App, { id, title }: Session): Promise<string> {
  const messages = await allItems((page) => app.connection.call('listMessages', { session: id, ...page }));
  return readableText(conversationText({ title, messages, earlier: 0, pending: null }));
}
