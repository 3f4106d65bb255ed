import { window } from 'vscode';
import type { ToolSettings } from '../../../protocol/schemas/toolCall.ts';
import { toolPolicies } from '../../../protocol/settings/sessionChoices.ts';
import { commandTitles } from '../../contributions.ts';

const title = commandTitles['cwm.sessionSettings'];

const meanings: Readonly<Record<ToolSettings['policy'], string>> = {
  manual: 'every call is asked for',
  'auto-approve': 'no call is asked for, unless it is dangerous',
  'white-list': 'the calls of the tools that you name are not asked for, unless they are dangerous',
  'auto-loop': 'the first rounds after each of your messages are not asked for, unless a call is dangerous',
};

export const toolsSentence = (tools: ToolSettings | undefined): string =>
  tools === undefined ? 'off' : `${tools.policy}: ${meanings[tools.policy]}`;

/** Which tool calls run without a question; null: the session has no tools. Undefined: no change. */
export async function askTools(before: ToolSettings | undefined): Promise<ToolSettings | null | undefined> {
  const rows = [
    { label: 'off', description: 'the model is offered no tools', policy: null },
    ...toolPolicies.map((policy) => ({ label: policy, description: meanings[policy], policy })),
  ];
  const chosen = await window.showQuickPick(rows, {
    title,
    placeHolder: 'Which tool calls run without a question?',
    ignoreFocusOut: true,
  });
  if (chosen === undefined) return undefined;
  const { policy } = chosen;
  if (policy === null) return null;
  const { timeoutSeconds } = before ?? {};
  const settings: ToolSettings = { policy, ...(timeoutSeconds !== undefined && { timeoutSeconds }) };
  if (policy === 'white-list') return await withAllowed(settings, before?.allowed ?? []);
  return policy === 'auto-loop' ? await withRounds(settings, before?.rounds) : settings;
}

async function withAllowed(settings: ToolSettings, before: readonly string[]): Promise<ToolSettings | undefined> {
  const typed = await window.showInputBox({
    title,
    ignoreFocusOut: true,
    prompt: 'The names of the tools on the white list, separated by commas.',
    value: before.join(', '),
  });
  if (typed === undefined) return undefined;
  const allowed = typed.split(',').map((name) => name.trim());
  return { ...settings, allowed: allowed.filter((name) => name !== '') };
}

async function withRounds(settings: ToolSettings, before: number | undefined): Promise<ToolSettings | undefined> {
  const typed = await window.showInputBox({
    title,
    ignoreFocusOut: true,
    prompt: 'How many rounds of tool calls run by themselves, 1 to 20; empty: 5.',
    value: before === undefined ? '' : String(before),
    validateInput: (value) => (/^(?:|[1-9]|1\d|20)$/.test(value.trim()) ? null : 'Enter a number from 1 to 20.'),
  });
  if (typed === undefined) return undefined;
  return typed.trim() === '' ? settings : { ...settings, rounds: Number(typed) };
}
