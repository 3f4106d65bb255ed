import { setTimeout as delay } from 'node:timers/promises';

/** Polls until `look` gives true. @throws an Error that says what was waited for, after `withinMs`. */
export async function until(what: string, look: () => Promise<boolean> | boolean, withinMs = 60_000): Promise<void> {
  const deadlineMs = performance.now() + withinMs;
  while (!(await look())) {
    if (performance.now() >= deadlineMs) throw new Error(`Waited ${withinMs} ms in vain for: ${what}`);
    await delay(20);
  }
}
