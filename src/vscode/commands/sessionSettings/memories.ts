import { type QuickPickItem, QuickPickItemKind, ThemeIcon, window } from 'vscode';
import { formatCount } from '../../../base/format.ts';
import { readableLine } from '../../../base/readableText.ts';
import type { RouteOutput } from '../../../protocol/api.ts';
import { CwmError } from '../../../protocol/errors.ts';
import { memoryScopes, mostMemoryBytes, type MemoryScope } from '../../../protocol/memory/scopes.ts';
import type { Session } from '../../../protocol/schemas/session.ts';
import type { App } from '../../app.ts';
import { commandTitles } from '../../contributions.ts';
import { changeText } from '../../pick/changeText.ts';
import { currentSession } from '../../pick/pickSession.ts';
import { showDone } from '../../ui/notifications.ts';
import { command } from '../command.ts';

type Memory = RouteOutput<'listMemories'>['items'][number];

/** Whose memories are meant. */
interface Place {
  readonly session?: string;
  readonly project?: string;
}

/** A new memory, another text of one, or one that is forgotten. */
type Change =
  | { readonly scope: MemoryScope; readonly tool?: string; readonly text: string }
  | { readonly memoryId: string; readonly text: string }
  | { readonly memoryId: string };

interface Request {
  readonly place: Place;
  readonly change: Change;
}

const title = commandTitles['cwm.memories'];

/** What each scope is called in a list. */
const scopeTitles: Readonly<Record<MemoryScope, string>> = {
  user: 'All My Sessions',
  tool: 'A Tool',
  project: 'This Project',
  session: 'This Session',
};

/** Lists what is remembered for the user, tools, the project and the session; adds, edits and forgets a memory. */
export const memories = command('cwm.memories', {
  async ask(app, input): Promise<Request | undefined> {
    const session = await sessionOf(app, input.session);
    const place = placeOf(app, session, input.session !== undefined);
    const change = givenChange(input) ?? (await askChange(app, place, session, input.memory));
    return change && { place, change };
  },
  perform(app, { place, change }: Request) {
    if ('scope' in change) return app.connection.call('remember', { ...place, ...change });
    if ('text' in change) return app.connection.call('editMemory', { ...place, ...change });
    return app.connection.call('forgetMemory', { ...place, ...change });
  },
  show: (app, { text, version }, { change }) =>
    showDone(
      app,
      'text' in change
        ? `Remembered "${firstOf(text)}"${version === 1 ? '' : ` as version ${version}`}. Sessions that have begun keep what they began with.`
        : `Forgot "${firstOf(text)}".`,
    ),
});

const sessionOf = async (app: App, named: string | undefined): Promise<Session | undefined> =>
  named === undefined ? currentSession(app) : app.connection.call('getSession', { session: named });

/** The project of a session that the user names is its own one, whatever folder is open. */
function placeOf(app: App, session: Session | undefined, isNamed: boolean): Place {
  const { project: folder } = app.state.current;
  const project = isNamed ? session?.project : folder.kind === 'folder' ? folder.uri : null;
  return { ...(session && { session: session.id }), ...(project && { project }) };
}

/** What another program asks for with all its fields. */
function givenChange({
  memory,
  scope: named,
  tool,
  text,
  confirmed,
}: {
  readonly memory?: string | undefined;
  readonly scope?: string | undefined;
  readonly tool?: string | undefined;
  readonly text?: string | undefined;
  readonly confirmed?: boolean | undefined;
}): Change | undefined {
  if (memory !== undefined && text !== undefined) return { memoryId: memory, text };
  if (memory !== undefined && confirmed) return { memoryId: memory };
  const scope = memoryScopes.find((each) => each === named);
  if (named !== undefined && !scope)
    throw new CwmError('InvalidParameter', `"scope" must be one of ${memoryScopes.join(', ')}.`);
  return scope && text !== undefined ? { scope, text, ...(tool !== undefined && { tool }) } : undefined;
}

async function askChange(
  app: App,
  place: Place,
  session: Session | undefined,
  named: string | undefined,
): Promise<Change | undefined> {
  const { items } = await app.connection.call('listMemories', { ...place });
  const chosen = items.find(({ id }) => id === named) ?? (await pickMemory(items));
  if (chosen === undefined) return undefined;
  return chosen === null ? askNew(place, session) : askEdit(chosen);
}

/** Null: a new one. */
async function pickMemory(items: readonly Memory[]): Promise<Memory | null | undefined> {
  const rows: (QuickPickItem & { readonly memory: Memory | null })[] = [
    { label: 'New Memory…', iconPath: new ThemeIcon('add'), alwaysShow: true, memory: null },
    ...memoryScopes.flatMap((scope) => {
      const ofScope = items.filter((memory) => memory.scope === scope);
      if (ofScope.length === 0) return [];
      return [
        { label: scopeTitles[scope], kind: QuickPickItemKind.Separator, memory: null },
        ...ofScope.map((memory) => ({
          label: firstOf(memory.text).replaceAll('$(', '$ ('),
          description: about(memory),
          memory,
        })),
      ];
    }),
  ];
  const placeHolder = items.length === 0 ? 'Nothing is remembered yet' : 'Select a memory to edit or forget it';
  return (await window.showQuickPick(rows, { title, placeHolder, matchOnDescription: true }))?.memory;
}

const about = ({ id, tool, version }: Memory): string =>
  [id, ...(tool === undefined ? [] : [readableLine(tool)]), ...(version === 1 ? [] : [`version ${version}`])].join(
    ', ',
  );

const firstOf = (text: string): string => {
  const line = readableLine(text);
  return line.length > shownCharacters ? `${line.slice(0, shownCharacters).toWellFormed()}…` : line;
};
const shownCharacters = 100;

async function askNew(place: Place, session: Session | undefined): Promise<Change | undefined> {
  const rows = memoryScopes
    .filter(
      (scope) => (scope === 'session' ? place.session : scope === 'project' ? place.project : scope) !== undefined,
    )
    .map((scope) => ({
      label: scopeTitles[scope],
      description: scope === 'session' ? readableLine(session?.title ?? '').replaceAll('$(', '$ (') : '',
      scope,
    }));
  const scope = (await window.showQuickPick(rows, { title, placeHolder: 'Whom is it for?' }))?.scope;
  if (scope === undefined) return undefined;
  const tool = scope === 'tool' ? await askTool() : null;
  if (tool === undefined) return undefined;
  const text = await askText('');
  return text === undefined ? undefined : { scope, text, ...(tool !== null && { tool }) };
}

const askTool = async (): Promise<string | undefined> =>
  window.showInputBox({
    title,
    prompt: 'The name of the tool.',
    validateInput: (value) => (value.trim() === '' ? 'Enter a name.' : null),
  });

const askText = async (value: string): Promise<string | undefined> =>
  window.showInputBox({ title, prompt: 'What to remember.', value, validateInput: textProblem });

function textProblem(text: string): string | null {
  if (text.trim() === '') return 'Enter a text.';
  const bytes = Buffer.byteLength(text);
  return bytes > mostMemoryBytes
    ? `The text has ${formatCount(bytes)} bytes, and a memory takes at most ${formatCount(mostMemoryBytes)}.`
    : null;
}

async function askEdit({ id, text }: Memory): Promise<Change | undefined> {
  const name = firstOf(text);
  const deletion = { label: 'Forget…', description: 'sessions that began with it keep it' };
  const next = await changeText({ title, name, text, deletion, ask: askText });
  if (next === undefined) return undefined;
  if (next !== null) return { memoryId: id, text: next };
  const yes = 'Forget';
  const detail = 'New sessions do without it. Sessions and bases that have it keep it.';
  const answer = await window.showWarningMessage(`Forget "${name}"?`, { modal: true, detail }, yes);
  return answer === yes ? { memoryId: id } : undefined;
}
