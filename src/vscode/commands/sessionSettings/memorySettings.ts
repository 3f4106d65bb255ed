import { type QuickPickItem, window } from 'vscode';
import type { MemorySettings } from '../../../protocol/schemas/sessionSettings.ts';
import { evictionPolicies, type EvictionPolicyName } from '../../../protocol/settings/sessionChoices.ts';
import { commandTitles } from '../../contributions.ts';

const title = commandTitles['cwm.sessionSettings'];

type Mode = NonNullable<MemorySettings['vmMode']>;

const modes: Readonly<Record<Mode, QuickPickItem>> = {
  relaxed: {
    label: 'on',
    description:
      'before the prompt is too long, older messages leave it and a summary takes their place; the session keeps them',
  },
  strict: { label: 'on, strict', description: 'the model must cite the pages that it answers from, too' },
  passive: {
    label: 'on, passive',
    description: 'only a summary: the model has no tools to bring messages back',
  },
};
const off: QuickPickItem = { label: 'off', description: "a conversation ends where the model's context does" };

const policies: Readonly<Record<EvictionPolicyName, string>> = {
  'kv-aware': 'large batches, so that little is computed again; only a summary stays',
  'importance-weighted-lru':
    'small batches; what is old or unimportant leaves, and the most important stays in the summary',
  lru: 'small batches; what was used last stays in the summary',
  'modality-aware-lru': 'small batches; texts that were used last stay in the summary before pictures',
};

export const memorySentence = (memory: MemorySettings | undefined): string =>
  memory?.enableVm
    ? `${modes[memory.vmMode ?? 'relaxed'].label}: older messages leave the prompt before it is too long`
    : 'off';

export const policySentence = ({ policy = evictionPolicies[0] }: MemorySettings): string => policy;

/** Null: the session has no virtual memory. Undefined: no change. */
export async function askMemory(before: MemorySettings | undefined): Promise<MemorySettings | null | undefined> {
  const chosen = await window.showQuickPick([modes.relaxed, modes.strict, modes.passive, off], {
    title,
    placeHolder: "What happens when the conversation becomes longer than the model's context?",
    ignoreFocusOut: true,
  });
  if (chosen === undefined) return undefined;
  if (chosen === off) return null;
  const { vmMode: _, ...rest } = before ?? {};
  const vmMode = chosen === modes.strict ? 'strict' : chosen === modes.passive ? 'passive' : undefined;
  return { ...rest, enableVm: true, ...(vmMode && { vmMode }) };
}

const ownPolicy = 'from the file that the backend was started with';

/** What leaves the prompt first; undefined: no change. @param names of the policies that the backend has. */
export async function askPolicy(
  before: MemorySettings,
  names: readonly string[] = evictionPolicies,
): Promise<MemorySettings | undefined> {
  const rows = names.map((label) => ({
    label,
    description: evictionPolicies.some((each) => each === label) ? policies[label as EvictionPolicyName] : ownPolicy,
  }));
  const chosen = await window.showQuickPick(rows, {
    title,
    placeHolder: 'Which messages leave the prompt first, and what of them stays?',
    ignoreFocusOut: true,
  });
  return chosen && { ...before, policy: chosen.label };
}
