import { setTimeout as delay } from 'node:timers/promises';
import { HarnessError } from './harnessError.ts';

export interface WaitOptions {
  /** How long to wait before giving up. Default 60,000: a machine may be busy, and what comes ends the wait at once. */
  readonly timeoutMs?: number;
  /** Pause between two probes. Default 100. */
  readonly intervalMs?: number;
  readonly signal?: AbortSignal | undefined;
  /** Called once when the wait gives up; what it returns is shown under the message. */
  readonly evidence?: () => readonly string[];
}

/**
 * Polls `probe` until it returns something other than `undefined`, and returns that.
 * @throws {HarnessError} when the deadline passes; the signal's reason on abort; what `probe` throws, at once.
 */
export async function waitUntil<T>(
  what: string,
  probe: () => T | undefined | Promise<T | undefined>,
  options: WaitOptions = {},
): Promise<T> {
  const timeoutMs = options.timeoutMs ?? 60_000;
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    options.signal?.throwIfAborted();
    const found = await probe();
    if (found !== undefined) return found;
    if (performance.now() >= deadline) {
      throw new HarnessError(`Waited ${timeoutMs / 1000} s for ${what}, in vain.`, options.evidence?.());
    }
    const wait = delay(
      options.intervalMs ?? 100,
      undefined,
      options.signal === undefined ? {} : { signal: options.signal },
    );
    await wait.catch(() => undefined); // aborted: told above
  }
}

/** Resolves to the promise's value, or to `undefined` after `timeoutMs`. The promise itself goes on; its rejection passes through. */
export async function within<T>(promise: Promise<T>, timeoutMs: number): Promise<T | undefined> {
  const timer = new AbortController();
  try {
    return await Promise.race([promise, delay(timeoutMs, undefined, { signal: timer.signal }).catch(() => undefined)]);
  } finally {
    timer.abort();
  }
}
