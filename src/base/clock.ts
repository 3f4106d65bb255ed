/**
 * Time as the domain sees it, so that tests can own it.
 *
 * `now` is wall-clock time for stamps; it may jump. `elapsedMs` is monotonic; only differences of it mean anything.
 */
export interface Clock {
  now(): Date;
  elapsedMs(): number;
}

export const systemClock: Clock = {
  now: () => new Date(),
  elapsedMs: () => performance.now(),
};

/** Waits that many milliseconds. @throws the signal's reason when it is aborted first. */
export type Sleep = (delayMs: number, signal: AbortSignal) => Promise<void>;

export const systemSleep: Sleep = (delayMs, signal) =>
  new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const onAbort = (): void => {
      clearTimeout(handle);
      reject(signal.reason as Error);
    };
    const handle = setTimeout(() => {
      signal.removeEventListener('abort', onAbort);
      resolve();
    }, delayMs);
    signal.addEventListener('abort', onAbort, { once: true });
  });

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
