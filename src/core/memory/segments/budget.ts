import type { ModelIdentity } from '../../../protocol/schemas/session.ts';
import type { MemorySettings } from '../../../protocol/schemas/sessionSettings.ts';

/** Shares of the tokens for messages at which eviction begins, and at which it ends at the latest (S1-40). */
const evictionThreshold = 0.85;
const targetUtilization = 0.7;
/** Tokens that no message takes (S1-40), where the limit is long enough. */
const reservedTokens = 4000;
const reservedShare = 1 / 8;
/** A template may add some tokens between messages that no count has seen. */
const slackTokens = 8;

/** How the tokens of a request are divided. */
export interface Budget {
  /** Of a request: prompt and answer. */
  readonly limit: number;
  /** The answer's, at most. */
  readonly answer: number;
  /** The most that the messages may take. */
  readonly room: number;
  /** Messages that take more are evicted, in one batch, until at most `target` is left. */
  readonly evictAt: number;
  readonly target: number;
}

/** Null: nobody knows how long the model's context is. */
export const limitOf = (
  { maxModelLen }: Pick<ModelIdentity, 'maxModelLen'>,
  { maxL0Tokens }: MemorySettings,
): number | null => {
  const limit = Math.min(maxModelLen ?? Infinity, maxL0Tokens ?? Infinity);
  return limit === Infinity ? null : limit;
};

/**
 * @param answerTokens as asked for; an answer gets half of the limit at most.
 * @param toolTokens of the list of tools.
 */
export function budgetOf(limit: number, answerTokens: number, toolTokens: number): Budget {
  const answer = Math.max(1, Math.min(answerTokens, Math.floor(limit / 2)));
  const taken = answer + toolTokens + slackTokens;
  const usable = Math.max(0, limit - Math.max(taken, Math.min(reservedTokens, Math.floor(limit * reservedShare))));
  return {
    limit,
    answer,
    room: Math.max(0, limit - taken),
    evictAt: Math.floor(usable * evictionThreshold),
    target: Math.floor(usable * targetUtilization),
  };
}
