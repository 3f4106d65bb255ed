/**
 * The most tokens of a prompt that an engine can take from its cache: whole blocks only, and never the last token, since
 * something has to be computed for an answer to come out (vLLM PR #17999).
 */
export function reuseFloor(promptTokens: number, blockTokens: number): number {
  return promptTokens < 1 ? 0 : Math.floor((promptTokens - 1) / blockTokens) * blockTokens;
}
