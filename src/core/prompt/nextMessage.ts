import { commonPrefixLength } from '../../base/tokenIds.ts';
import { formatCount } from '../../base/format.ts';
import type { MessageId } from '../../protocol/ids.ts';
import type { Message } from '../../protocol/schemas/session.ts';
import type { NextMessage } from '../../protocol/schemas/receipt.ts';
import type { Engine, EngineDescription } from '../ports/engine.ts';
import type { ContinueFrom } from '../../protocol/settings/sessionChoices.ts';
import { planPrompt, type Planned } from './planPrompt.ts';

/** A short message in place of the one that is not written yet. */
const anyMessage = (before: Message | undefined): Message => ({
  id: 'next' as MessageId,
  role: 'user',
  parentId: before?.id ?? null,
  sequence: (before?.sequence ?? 0) + 1,
  content: { type: 'text', text: 'Continue.' },
  createdAt: before?.createdAt ?? '',
});

/**
 * How much of the next message's prompt the engine can reuse once it has the KV of these ids; null where that cannot be told.
 *
 * @throws CwmError Cancelled, EngineUnavailable.
 */
export async function weighNextMessage(
  engine: Engine,
  description: Pick<EngineDescription, 'takesTokenIds' | 'blockTokens'>,
  frozen: Pick<Planned, 'system' | 'ids' | 'tokens' | 'old' | 'covered'>,
  continueFrom: ContinueFrom,
  signal: AbortSignal,
): Promise<NextMessage | null> {
  const planned = { ...frozen, added: [anyMessage(frozen.old.at(-1))], addGenerationPrompt: true };
  const takesTokenIds = continueFrom === 'ids' && description.takesTokenIds === true;
  const plan = await planPrompt(engine, { takesTokenIds }, planned, signal);
  const prompt = plan.kind === 'ids' ? plan.promptIds : plan.rendered;
  if (!prompt) return null;
  const shared = commonPrefixLength(frozen.ids, prompt);
  const grain = description.blockTokens ?? 1;
  return {
    promptTokens: prompt.length,
    reusedTokens: shared - (shared % grain),
    rerenderTokens: plan.kind === 'ids' ? plan.rerenderTokens : null,
    leavesAtToken: shared < frozen.ids.length ? shared : null,
  };
}

/** The same in plain words. */
export function nextMessageNotes(next: NextMessage | null): string[] {
  if (next === null) return [];
  const { promptTokens, reusedTokens, rerenderTokens, leavesAtToken } = next;
  const said = `The next message reuses ${formatCount(reusedTokens)} of ${formatCount(promptTokens)} tokens.`;
  if (leavesAtToken !== null)
    return [`${said} The chat template leaves the frozen tokens at token ${formatCount(leavesAtToken)}.`];
  if (rerenderTokens === null) return [said];
  return [
    `${said} It continues from the frozen tokens. The chat template would render the conversation differently now, and ${formatCount(rerenderTokens)} tokens would be computed again (cwm.continueFrom).`,
  ];
}
