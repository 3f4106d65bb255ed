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
