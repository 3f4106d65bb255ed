import type { CwmError } from '../../../protocol/errors.ts';

/** How servers name the length of their context, and the tokens of the prompt, when they refuse a request. */
const limitIn = /context length (?:is|of)(?: only)? (\d+)|n_ctx[^\d]{0,12}(\d+)/i;
const promptIn =
  /prompt contains (?:at least )?(\d+)|(\d+) in the (?:messages|prompt)|(\d+) input tokens|n_prompt_tokens[^\d]{0,12}(\d+)/i;

/**
 * Tokens left for an answer after the server refused prompt and answer together as too long; null when the number is unknown or nothing is
 * left.
 */
export function roomForAnswer(
  refusal: CwmError,
  known: { readonly promptTokens: number | null; readonly maxModelLen: number | null },
): number | null {
  const limit = known.maxModelLen ?? numberIn(refusal.message, limitIn);
  const prompt = known.promptTokens ?? numberIn(refusal.message, promptIn);
  if (limit === null || prompt === null) return null;
  return limit > prompt ? limit - prompt : null;
}

function numberIn(text: string, pattern: RegExp): number | null {
  const found = pattern.exec(text)?.slice(1).find(Boolean);
  return found === undefined ? null : Number(found);
}
