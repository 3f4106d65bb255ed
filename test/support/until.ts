import { setTimeout as delay } from 'node:timers/promises';

const pollMs = 20;

/** Tests may fake the clock later. */
const realNowMs = performance.now.bind(performance);

/**
 * Polls until `look` gives something, and returns it.
 *
 * @param withinMs default 60 s, which no machine is too busy for.
 * @throws an Error that says what was waited for.
 */
export async function until<T>(
  what: string,
  look: () => T | Promise<T>,
  withinMs = 60_000,
): Promise<Exclude<T, undefined | null | false | 0 | ''>> {
  const deadlineMs = realNowMs() + withinMs;
  for (;;) {
    const found = await look();
    if (found) return found as Exclude<T, undefined | null | false | 0 | ''>;
    if (realNowMs() >= deadlineMs) throw new Error(`Waited ${withinMs / 1000} s in vain for: ${what}`);
    await delay(pollMs);
  }
}
