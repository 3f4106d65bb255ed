import { type QuickPickItem, window } from 'vscode';
import type { CallOptions } from '../../../client/backendClient.ts';
import { formatCount } from '../../../base/format.ts';
import type { RouteInput } from '../../../protocol/api.ts';
import { isCwmError } from '../../../protocol/errors.ts';
import { agentRoles, sessionModes } from '../../../protocol/settings/sessionChoices.ts';
import type { Session } from '../../../protocol/schemas/session.ts';
import type { App } from '../../app.ts';
import { commandTitles } from '../../contributions.ts';
import { targetSession } from '../../pick/pickSession.ts';
import { command } from '../command.ts';

type Change = Omit<RouteInput<'updateSession'>, 'session' | 'breakPrefix' | 'preview'>;

interface Request {
  readonly session: Session;
  readonly change: Change;
}

/** Changes one setting of a session. A change that breaks the prefix is made only when the user agrees to what it costs. */
export const sessionSettings = command('cwm.sessionSettings', {
  async ask(app, { session: named, ...given }): Promise<Request | undefined> {
    const session = await targetSession(app, named, 'Change the settings of this session');
    if (session === undefined) return undefined;
    const change = Object.keys(given).length > 0 ? given : await askChange(app, session);
    return change && { session, change };
  },
  perform: (app, { session, change }: Request, call) => update(app, session, change, call),
});

async function update(app: App, session: Session, change: Change, call: CallOptions): Promise<Session> {
  const input = { session: session.id, ...change };
  try {
    return await app.connection.call('updateSession', input, call);
  } catch (error) {
    if (!isCwmError(error, 'PrefixWouldBreak')) throw error;
    const yes = 'Change and Compute Again';
    const answer = await window.showWarningMessage(
      `Change "${session.title}"?`,
      { modal: true, detail: error.message },
      yes,
    );
    return answer === yes ? app.connection.call('updateSession', { ...input, breakPrefix: true }, call) : session;
  }
}

type Choice = QuickPickItem & { readonly ask: () => Promise<Change | undefined> };

async function askChange(app: App, session: Session): Promise<Change | undefined> {
  const { title, description = '', tags = [], settings = {} } = session;
  const { systemPrompt, sampling = {}, mode = 'act', role = 'actor' } = settings;
  const number = (name: 'temperature' | 'topP' | 'maxTokens' | 'seed', prompt: string) => async () => {
    const value = await askText(prompt, String(sampling[name] ?? ''), isNumber);
    return value === undefined ? undefined : { sampling: { [name]: value === '' ? null : Number(value) } };
  };
  const choices: Choice[] = [
    {
      label: 'Title',
      description: title,
      ask: async () => wrap('title', await askText('The title of the session.', title)),
    },
    {
      label: 'Description',
      description,
      ask: async () => wrap('description', await askText('What the session is about.', description)),
    },
    {
      label: 'Tags',
      description: tags.join(', '),
      ask: async () => {
        const value = await askText('Tags, separated by commas.', tags.join(', '));
        return value === undefined
          ? undefined
          : {
              tags: value
                .split(',')
                .map((tag) => tag.trim())
                .filter(Boolean),
            };
      },
    },
    {
      label: 'System Prompt',
      description: systemPrompt?.text ? systemPrompt.id : 'none',
      ask: async () => wrap('systemPrompt', await pickPrompt(app)),
    },
    {
      label: 'Temperature',
      description: String(sampling.temperature ?? 0),
      ask: number('temperature', '0 to 2; empty: 0, which always takes the likeliest token.'),
    },
    { label: 'Top-p', description: String(sampling.topP ?? 1), ask: number('topP', 'Above 0 and up to 1; empty: 1.') },
    {
      label: 'Longest Answer',
      description:
        sampling.maxTokens === undefined ? 'as in the settings' : `${formatCount(sampling.maxTokens)} tokens`,
      ask: number('maxTokens', 'In tokens; empty: as in the settings.'),
    },
    {
      label: 'Seed',
      description: String(sampling.seed ?? 'none'),
      ask: number('seed', 'A whole number; empty: none.'),
    },
    { label: 'Mode', description: mode, ask: async () => wrap('mode', await pickOne(sessionModes)) },
    { label: 'Role', description: role, ask: async () => wrap('role', await pickOne(agentRoles)) },
  ];
  const chosen = await window.showQuickPick(choices, {
    title: commandTitles['cwm.sessionSettings'],
    placeHolder: 'Select a setting to change',
  });
  return chosen?.ask();
}

const wrap = <Key extends keyof Change>(key: Key, value: Change[Key]): Change | undefined =>
  value === undefined ? undefined : { [key]: value };

const askText = (
  prompt: string,
  value: string,
  validateInput?: (value: string) => string | null,
): Promise<string | undefined> =>
  Promise.resolve(
    window.showInputBox({
      title: commandTitles['cwm.sessionSettings'],
      prompt,
      value,
      ...(validateInput && { validateInput }),
    }),
  );

const isNumber = (value: string): string | null =>
  value === '' || Number.isFinite(Number(value)) ? null : 'Enter a number, or nothing.';

async function pickOne<Value extends string>(values: readonly Value[]): Promise<Value | undefined> {
  return (await window.showQuickPick([...values], { title: commandTitles['cwm.sessionSettings'] })) as
    | Value
    | undefined;
}

/** An existing prompt, or a new one that the user types. @param first rows before them. */
export async function pickPrompt(
  app: App,
  first: readonly { readonly label: string; readonly id: string }[] = [],
): Promise<string | undefined> {
  const { items } = await app.connection.call('listPrompts', {});
  const create = { label: 'New System Prompt…', description: '', id: null };
  const known = items.map(({ id, text }) => ({ label: id, description: text.slice(0, 80) || 'empty', id }));
  const chosen = await window.showQuickPick([...first, ...known, create], { placeHolder: 'Select a system prompt' });
  if (chosen === undefined || chosen.id !== null) return chosen?.id;
  const id = await askText('A name: letters, digits, "_" and "-".', '');
  const text = id === undefined ? undefined : await askText('The prompt.', '');
  if (id === undefined || text === undefined) return undefined;
  return (await app.connection.call('putPrompt', { prompt: id, text })).id;
}
