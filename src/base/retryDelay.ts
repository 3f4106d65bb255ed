/** Three tries, and between them 1 s, then 2 s, each with up to a quarter more, so that clients do not return at the same moment (S0-41). */
export const maxTries = 3;
const baseDelayMs = 1_000;
const maxDelayMs = 10_000;
const jitterShare = 0.25;

/** @param failedTries tries so far, at least 1. @param random in 0 … 1. */
export function retryDelayMs(failedTries: number, random: number): number {
  const delayMs = Math.min(baseDelayMs * 2 ** (failedTries - 1), maxDelayMs);
  return Math.round(delayMs * (1 + jitterShare * random));
}
