import { type QuickPickItem, window } from 'vscode';
import { formatCount } from '../../../base/format.ts';
import type { RouteInput } from '../../../protocol/api.ts';
import { agentRoles, sessionModes } from '../../../protocol/settings/sessionChoices.ts';
import type { Session } from '../../../protocol/schemas/session.ts';
import type { App } from '../../app.ts';
import { commandTitles } from '../../contributions.ts';
import { askMemory, askPolicy, memorySentence, policySentence } from './memorySettings.ts';
import { pickPrompt } from './systemPrompts.ts';
import { askStops } from './stopTexts.ts';
import { askTools, toolsSentence } from './toolSettings.ts';

export type Change = Omit<RouteInput<'updateSession'>, 'session' | 'breakPrefix' | 'preview'>;

type Choice = QuickPickItem & { readonly ask: () => Promise<Change | undefined> };

/** One setting of a session, which the user selects and changes; undefined: none. */
export async function askChange(app: App, session: Session): Promise<Change | undefined> {
  const chosen = await window.showQuickPick([...naming(session), ...answering(app, session), ...acting(app, session)], {
    title: commandTitles['cwm.sessionSettings'],
    placeHolder: 'Select a setting to change',
    ignoreFocusOut: true,
  });
  return chosen?.ask();
}

const naming = ({ title, description = '', tags = [] }: Session): Choice[] => [
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
      return value === undefined ? undefined : { tags: listed(value) };
    },
  },
];

function answering(app: App, { settings = {} }: Session): Choice[] {
  const { systemPrompt, sampling = {} } = settings;
  const number = (name: 'temperature' | 'topP' | 'maxTokens' | 'seed', prompt: string) => async () => {
    const value = await askText(prompt, String(sampling[name] ?? ''), isNumber);
    return value === undefined ? undefined : { sampling: { [name]: value === '' ? null : Number(value) } };
  };
  return [
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
      label: 'Stop Texts',
      description: sampling.stop?.map((text) => JSON.stringify(text)).join(', ') ?? 'none',
      ask: async () => {
        const stop = await askStops(sampling.stop ?? []);
        return stop && { sampling: { stop: stop.length === 0 ? null : [...stop] } };
      },
    },
    {
      label: 'Seed',
      description: String(sampling.seed ?? 'none'),
      ask: number('seed', 'A whole number; empty: none.'),
    },
  ];
}

function acting(app: App, { id: session, settings = {}, recorded = true }: Session): Choice[] {
  const { mode = 'act', role = 'actor', tools, memory } = settings;
  return [
    { label: 'Mode', description: mode, ask: async () => wrap('mode', await pickOne(sessionModes)) },
    { label: 'Role', description: role, ask: async () => wrap('role', await pickOne(agentRoles)) },
    { label: 'Tools', description: toolsSentence(tools), ask: async () => wrap('tools', await askTools(tools)) },
    {
      label: 'Virtual Memory',
      description: memorySentence(memory),
      ask: async () => wrap('memory', await askMemory(memory)),
    },
    ...(memory?.enableVm
      ? [
          {
            label: 'Eviction Policy',
            description: policySentence(memory),
            ask: async () => {
              const { policies } = await app.connection.call('memoryState', { session, limit: 1 });
              return wrap('memory', await askPolicy(memory, policies));
            },
          },
        ]
      : []),
    {
      label: 'Saved Unasked',
      description: recorded ? 'checkpoints' : 'nothing',
      ask: async () => {
        const chosen = await pickOne(['checkpoints', 'nothing'] as const);
        return chosen && { recorded: chosen === 'checkpoints' };
      },
    },
  ];
}

const wrap = <Key extends keyof Change>(key: Key, value: Change[Key]): Change | undefined =>
  value === undefined ? undefined : { [key]: value };

const listed = (value: string): string[] =>
  value
    .split(',')
    .map((part) => part.trim())
    .filter(Boolean);

const askText = (
  prompt: string,
  value: string,
  validateInput?: (value: string) => string | null,
): Promise<string | undefined> =>
  Promise.resolve(
    window.showInputBox({
      title: commandTitles['cwm.sessionSettings'],
      ignoreFocusOut: true,
      prompt,
      value,
      ...(validateInput && { validateInput }),
    }),
  );

const isNumber = (value: string): string | null =>
  value === '' || Number.isFinite(Number(value)) ? null : 'Enter a number, or nothing.';

async function pickOne<Value extends string>(values: readonly Value[]): Promise<Value | undefined> {
  return (await window.showQuickPick([...values], {
    title: commandTitles['cwm.sessionSettings'],
    ignoreFocusOut: true,
  })) as Value | undefined;
}
