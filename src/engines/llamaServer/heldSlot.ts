import type { Sleep } from '../http/timing.ts';

/** How long others wait for a request that was announced, in milliseconds. Where it follows, it follows at once. */
const heldMs = 250;

interface Held {
  readonly salt: string;
  readonly begin: (request: { readonly ended: Promise<unknown> }) => void;
}

/**
 * The turn of a restore, which lasts until the request that measures it has ended. Another conversation's request in between would empty the slot
 * again, and the measured one would compute what had just been loaded.
 */
export class HeldSlot {
  readonly #sleep: Sleep;
  #held: Held | null = null;

  constructor(sleep: Sleep) {
    this.#sleep = sleep;
  }

  /** Holds the turn for a request under this salt. Resolves when that has ended, or when none has come. */
  async holdFor(salt: string, signal: AbortSignal): Promise<void> {
    const came = new AbortController();
    const arrival = new Promise<{ readonly ended: Promise<unknown> } | null>((resolve) => {
      const held: Held = {
        salt,
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
    });
    await (await arrival)?.ended.catch(() => undefined);
  }

  /** Runs a request in the turn that is held for it; null where none is. */
  runHeld<T>(salt: string, request: () => Promise<T>): Promise<T> | null {
    const held = this.#held;
    if (held?.salt !== salt) return null;
    this.#held = null;
    const ended = request();
    held.begin({ ended });
    return ended;
  }
}
