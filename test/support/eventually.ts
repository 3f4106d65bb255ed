import { setTimeout as delay } from 'node:timers/promises';

const patienceMs = 60_000;
const pollMs = 5;

/** Tests may fake the clock later. */
const realNowMs = performance.now.bind(performance);

/**
 * Repeats `check` until it throws no more, and returns what it gives. Use it in place of `vi.waitFor`, which waits one second, less than
 * a busy machine needs, and moves fake timers on by as many steps as it happens to look.
 *
 * @throws what `check` threw last, when it still throws after 60 s of real time.
 */
export async function eventually<T>(check: () => T | Promise<T>): Promise<T> {
  const deadlineMs = realNowMs() + patienceMs;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (realNowMs() >= deadlineMs) throw error;
    }
    await delay(pollMs);
  }
}
