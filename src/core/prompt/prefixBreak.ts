import { isCwmError } from '../../protocol/errors.ts';
import type { TokenList } from '../../base/tokenIds.ts';
import type { ContextTokens, Message, PrefixBreak } from '../../protocol/schemas/session.ts';
import type { Engine } from '../ports/engine.ts';
import { renderConversation, systemKey } from './prompt.ts';

export interface PrefixComparison {
  /** The ids that the engine saw before this turn, and the facts about them. */
  readonly before: TokenList;
  readonly beforeTokens: ContextTokens;
  /** The ids of this turn's prompt. */
  readonly prompt: readonly number[];
  readonly system: string | null;
  readonly messages: readonly Message[];
}

/** Finds where a prompt differs from the one before it; null when the one before is its prefix. */
export async function findPrefixBreak(
  { before, beforeTokens, prompt, system, messages }: PrefixComparison,
  engine: Engine,
  signal: AbortSignal,
): Promise<PrefixBreak | null> {
  const atToken = before.sharedWith(prompt);
  if (atToken === before.length) return null;
  const messageSequence = await messageAt(
    atToken,
    system,
    messages.slice(0, beforeTokens.messageCount),
    engine,
    signal,
  );
  return {
    atToken,
    lostTokens: before.length - atToken,
    messageSequence,
    likelyCause: likelyCause(
      atToken,
      beforeTokens,
      system,
      messages.find((message) => message.sequence === messageSequence),
    ),
  };
}

/** Binary search over the number of messages whose rendering still ends before the token. */
async function messageAt(
  atToken: number,
  system: string | null,
  messages: readonly Message[],
  engine: Engine,
  signal: AbortSignal,
): Promise<number | null> {
  let low = 0;
  let high = messages.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    const rendered = await engine
      .tokenize(renderConversation(system, messages.slice(0, middle + 1)), false, signal)
      .catch((error: unknown) => {
        signal.throwIfAborted();
        if (isCwmError(error)) return null;
        throw error;
      });
    // This only informs the user: a server that cannot tokenize must not cost the answer.
    if (rendered === null) return null;
    if (rendered.length > atToken) high = middle;
    else low = middle + 1;
  }
  return messages[low]?.sequence ?? null;
}

function likelyCause(
  atToken: number,
  before: ContextTokens,
  system: string | null,
  message: Message | undefined,
): string {
  if (before.system !== systemKey(system)) return 'The system prompt of the session was changed.';
  if (atToken >= before.promptCount) {
    return 'The chat template renders the last answer differently than the model wrote it, for example without its reasoning.';
  }
  if (message?.role === 'assistant') return 'The chat template renders an earlier answer differently than before.';
  if (atToken < 64) return 'The start of the prompt changed: a date line, the system prompt or the chat template.';
  return 'An earlier part of the prompt is rendered differently than before.';
}
