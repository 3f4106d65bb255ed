export { systemSleep, type Sleep } from '../../base/clock.ts';

/** Timers of the client, so that a test can own time. */
export interface Timer {
  /** Runs `task` once after that many milliseconds. @returns a function that cancels it; calling that twice does nothing. */
  schedule(delayMs: number, task: () => void): () => void;
}

export const systemTimer: Timer = {
  schedule: (delayMs, task) => {
    const handle = setTimeout(task, delayMs);
    return () => clearTimeout(handle);
  },
};

/** How long the client waits for a model server, in milliseconds. */
export interface Timeouts {
  /** For a TCP (and TLS) connection. */
  readonly connectMs: number;
  /** From the request to the first token: prefill of a long context takes minutes. */
  readonly firstByteMs: number;
  /** Between two pieces of an answer that has begun. */
  readonly idleMs: number;
  /** For a request that computes nothing, from start to end. */
  readonly smallMs: number;
  /** For a request that computes a few tokens, from start to end. A server's first one takes seconds. */
  readonly briefMs: number;
}

export const defaultTimeouts: Timeouts = {
  connectMs: 5_000,
  firstByteMs: 15 * 60_000,
  idleMs: 2 * 60_000,
  smallMs: 10_000,
  briefMs: 30_000,
};
