import type { ChatMessage } from '../../../core/ports/engine.ts';

/** The longest piece of text without a space that is sometimes one token, in characters. */
const longestToken = 16;

/** The least number of tokens of these messages in any tokenizer: none has a token that spans two words of text. */
function fewestTokens(messages: readonly ChatMessage[]): number {
  let tokens = 0;
  for (const { content } of messages) {
    for (const [word] of content.matchAll(/\S+/g)) tokens += Math.ceil(word.length / longestToken);
  }
  return tokens;
}

/** A prompt of which the server computed only a part, without saying so. */
export interface CutPrompt {
  readonly countedTokens: number;
  /** The count of its own tokenizer, or the least that the text can have. */
  readonly sentTokens: number;
}

/**
 * Detects that a server cut a conversation: it counts fewer tokens than the client sent. Null when nothing suggests that.
 *
 * @param counted its own count of the prompt; null when it gives none.
 * @param ids the prompt's ids by its tokenizer; null when they are not known.
 */
export function findCut(
  counted: number | null,
  ids: readonly number[] | null,
  messages: readonly ChatMessage[],
): CutPrompt | null {
  if (counted === null || counted === 0) return null;
  const sentTokens = Math.max(ids?.length ?? 0, fewestTokens(messages));
  return counted < sentTokens ? { countedTokens: counted, sentTokens } : null;
}
