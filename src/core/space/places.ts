import { formatCount } from '../../base/format.ts';
import { CwmError } from '../../protocol/errors.ts';
import type { CountLimit } from './limits.ts';

/** What a limit needs to know of sessions, or windows: how many there are, and which is the oldest. */
export interface Census {
  readonly what: 'session' | 'window';
  count(): Promise<number>;
  /** The item that a refusal names, and when it was last used or created; null when there is none. */
  oldest(): Promise<{ readonly name: string; readonly at: string } | null>;
}

/** How many sessions, or windows, there may be. */
export class Places {
  readonly #census: Census;
  readonly #limit: CountLimit;
  #beingTaken = 0;

  constructor(census: Census, limit: CountLimit) {
    this.#census = census;
    this.#limit = limit;
  }

  /**
   * Runs `make` when the limit allows one more.
   *
   * @param make gets the notes for the user, in plain words; none up to the soft limit.
   * @throws CwmError Exhausted beyond the hard limit, which names the oldest one (EC-021).
   */
  async take<T>(make: (notes: readonly string[]) => Promise<T>): Promise<T> {
    // Counted before the first await: of two calls for the last place, the second is refused.
    const place = ++this.#beingTaken;
    try {
      const total = (await this.#census.count()) + place;
      if (total > this.#limit.hard) throw await this.#refusal();
      return await make(total > this.#limit.soft ? [this.#note(total)] : []);
    } finally {
      this.#beingTaken--;
    }
  }

  /** Why there would be no place for one more now, in words; null: there is one, and nobody holds it. */
  async whyFull(): Promise<string | null> {
    const total = (await this.#census.count()) + this.#beingTaken + 1;
    return total > this.#limit.hard ? (await this.#refusal()).message : null;
  }

  #note(total: number): string {
    const { what } = this.#census;
    const hint = what === 'window' ? ' "cwm prune" clears away what is no longer used.' : '';
    return `You have ${formatCount(total)} ${what}s; the limit is ${formatCount(this.#limit.hard)}.${hint}`;
  }

  async #refusal(): Promise<CwmError> {
    const { what } = this.#census;
    const oldest = await this.#census.oldest();
    const named = oldest === null ? '' : ` The oldest is "${oldest.name}", of ${oldest.at}.`;
    return new CwmError(
      'Exhausted',
      `There are ${formatCount(this.#limit.hard)} ${what}s, which is the limit.${named}`,
      {
        hint: `Delete a ${what} that is no longer needed${what === 'window' ? ', or prune those not used for long' : ''}.`,
        context: { limit: this.#limit.hard, oldest: oldest?.name ?? null },
      },
    );
  }
}
