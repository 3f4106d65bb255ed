import { setTimeout as delay } from 'node:timers/promises';

const pollMs = 50;

/**
 * Polls until `look` gives something other than undefined, and returns it.
 *
 * @throws an Error that says what was waited for, after `withinMs` (default 30 s).
 */
export async function until<T>(
  what: string,
  look: () => Promise<T | undefined> | T | undefined,
  withinMs = 30_000,
): Promise<T> {
  const deadlineMs = performance.now() + withinMs;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (performance.now() >= deadlineMs) throw new Error(`Waited ${withinMs / 1000} s in vain for: ${what}`);
    await delay(pollMs);
  }
}
