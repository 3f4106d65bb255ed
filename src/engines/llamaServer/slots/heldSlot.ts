import type { Sleep } from '../../http/timing.ts';

/** How long others wait for a request that was announced, in milliseconds. Where it follows, it follows at once. */
const heldMs = 250;

/** A request that came in the turn that was held for it. */
interface Arrived {
  readonly ended: Promise<unknown>;
  /** The request after it, for which the turn is held on; null: there is none. Known once it has ended. */
  next: Arrival | null;
}

/** Null when none has come in time. */
type Arrival = Promise<Arrived | null>;

interface Held {
  readonly salt: string;
  readonly signal: AbortSignal;
  readonly begin: (request: Arrived) => void;
}

/**
 * The turn of a restore or of a save, which lasts until the requests that measure it have ended. Another conversation's request in between would
 * empty the slot again, and the measured one would compute what had just been loaded or saved.
 */
export class HeldSlot {
  readonly #sleep: Sleep;
  #held: Held | null = null;

  constructor(sleep: Sleep) {
    this.#sleep = sleep;
  }

  /** Holds the turn for a request under this salt. Resolves when that has ended, and those that follow it, or when none has come. */
  async holdFor(salt: string, signal: AbortSignal): Promise<void> {
    let arrival: Arrival | null = this.#expect(salt, signal);
    while (arrival) {
      const arrived: Arrived | null = await arrival;
      await arrived?.ended.catch(() => undefined);
      arrival = arrived?.next ?? null;
    }
  }

  /**
   * Runs a request in the turn that is held for it; null where none is.
   *
   * @param isFollowed holds the turn for another one, unless this one fails.
   */
  runHeld<T>(salt: string, isFollowed: boolean, request: () => Promise<T>): Promise<T> | null {
    const held = this.#held;
    if (held?.salt !== salt) return null;
    this.#held = null;
    const run = async (): Promise<T> => {
      const result = await request();
      if (isFollowed) arrived.next = this.#expect(salt, held.signal);
      return result;
    };
    const ended = run();
    const arrived: Arrived = { ended, next: null };
    held.begin(arrived);
    return ended;
  }

  #expect(salt: string, signal: AbortSignal): Arrival {
    const came = new AbortController();
    const { promise, resolve } = Promise.withResolvers<Arrived | null>();
    const held: Held = {
      salt,
      signal,
      begin: (request) => {
        came.abort();
        resolve(request);
      },
    };
    this.#held = held;
    const give = (): void => {
      if (this.#held !== held) return;
      this.#held = null;
      resolve(null);
    };
    this.#sleep(heldMs, AbortSignal.any([signal, came.signal])).then(give, give);
    return promise;
  }
}
