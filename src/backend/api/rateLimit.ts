import type { Clock } from '../../base/clock.ts';
import { CwmError, toCwmError } from '../../protocol/errors.ts';
import { isAgent } from '../requestScope.ts';

export interface RateLimits {
  readonly perMinute: number;
  readonly perHour: number;
  /** How many a client may send at once after a pause. */
  readonly burst: number;
}

/** S0-62. */
export const agentLimits: RateLimits = { perMinute: 60, perHour: 1000, burst: 10 };

/**
 * Limits for a client by its kind, or null for none.
 *
 * By default only agents have limits. A client that can open the socket runs as the user, so this is no protection against attackers: it
 * stops a program that runs away.
 *
 * @param perMinute for clients of every kind; 0 is no limit, null the default.
 */
export const limitsByKind =
  (perMinute: number | null) =>
  (client: string): RateLimits | null => {
    if (perMinute === null) return isAgent(client) ? agentLimits : null;
    if (perMinute === 0) return null;
    const { perHour, burst } = agentLimits;
    const factor = perMinute / agentLimits.perMinute;
    return { perMinute, perHour: Math.ceil(perHour * factor), burst: Math.max(burst, Math.ceil(burst * factor)) };
  };

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const maxClients = 1000;

interface ClientBuckets {
  readonly ofMinute: Bucket;
  readonly ofHour: Bucket;
}

/** Counts the changes that each client asks for. */
export class RateLimiter {
  readonly #limitsOf: (client: string) => RateLimits | null;
  readonly #clock: Pick<Clock, 'elapsedMs'>;
  readonly #clients = new Map<string, ClientBuckets>();

  constructor(limitsOf: (client: string) => RateLimits | null, clock: Pick<Clock, 'elapsedMs'>) {
    this.#limitsOf = limitsOf;
    this.#clock = clock;
  }

  /** Why a client may not ask for a change now; null: it may, and this one counts. A client of another program is answered all the same. */
  whyRefused(client: string): string | null {
    try {
      this.take(client);
      return null;
    } catch (error) {
      return toCwmError(error).message;
    }
  }

  /** @throws CwmError TooManyRequests with the seconds to wait; a refused change does not count. */
  take(client: string): void {
    const limits = this.#limitsOf(client);
    if (limits === null) return;
    const nowMs = this.#clock.elapsedMs();
    const { ofMinute, ofHour } = this.#bucketsOf(client, limits, nowMs);
    const waitMs = Math.max(ofMinute.waitMs(nowMs), ofHour.waitMs(nowMs));
    if (waitMs > 0) {
      const seconds = Math.ceil(waitMs / 1000);
      throw new CwmError(
        'TooManyRequests',
        `This client has reached its limit of ${limits.perMinute} changes a minute.`,
        {
          hint: `Wait ${seconds} s, or start the backend with a higher --rate-limit.`,
          context: { retry_after_seconds: seconds, perMinute: limits.perMinute, perHour: limits.perHour },
        },
      );
    }
    ofMinute.take();
    ofHour.take();
  }

  #bucketsOf(client: string, limits: RateLimits, nowMs: number): ClientBuckets {
    const known = this.#clients.get(client);
    if (known) return known;
    if (this.#clients.size >= maxClients) this.#forgetIdle(nowMs);
    const buckets = {
      ofMinute: new Bucket(limits.burst, minuteMs / limits.perMinute, nowMs),
      ofHour: new Bucket(limits.perHour, hourMs / limits.perHour, nowMs),
    };
    this.#clients.set(client, buckets);
    return buckets;
  }

  /** Forgets clients whose buckets are full again, which are like new ones. When all are busy, it forgets the oldest. */
  #forgetIdle(nowMs: number): void {
    for (const [client, { ofMinute, ofHour }] of this.#clients) {
      if (ofMinute.isFull(nowMs) && ofHour.isFull(nowMs)) this.#clients.delete(client);
    }
    const oldest = this.#clients.keys().next();
    if (this.#clients.size >= maxClients && !oldest.done) this.#clients.delete(oldest.value);
  }
}

/** A token bucket. */
class Bucket {
  readonly #capacity: number;
  readonly #msEach: number;
  #tokens: number;
  #filledMs: number;

  constructor(capacity: number, msEach: number, nowMs: number) {
    this.#capacity = capacity;
    this.#msEach = msEach;
    this.#tokens = capacity;
    this.#filledMs = nowMs;
  }

  /** 0 when there is a token. */
  waitMs(nowMs: number): number {
    this.#fill(nowMs);
    return this.#tokens >= 1 ? 0 : (1 - this.#tokens) * this.#msEach;
  }

  take(): void {
    this.#tokens--;
  }

  isFull(nowMs: number): boolean {
    this.#fill(nowMs);
    return this.#tokens >= this.#capacity;
  }

  #fill(nowMs: number): void {
    this.#tokens = Math.min(this.#capacity, this.#tokens + (nowMs - this.#filledMs) / this.#msEach);
    this.#filledMs = nowMs;
  }
}
