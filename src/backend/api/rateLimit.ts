import type { Clock } from '../../base/clock.ts';
import { CwmError, toCwmError } from '../../protocol/errors.ts';
import { backendSettings } from '../../protocol/settings/backendSettings.ts';
import { isAgent } from '../requestScope.ts';

export interface RateLimits {
  readonly perMinute: number;
  readonly perHour: number;
  /** How many a client may send at once after a pause. */
  readonly burst: number;
}

/**
 * What a client may do that may do so much in a minute: at the default of 60, 1,000 in an hour and 10 at once; other numbers are in proportion,
 * but 10 at once are always allowed. Null for 0, which is no limit (S0-62).
 */
export function limitsOf(perMinute: number): RateLimits | null {
  if (perMinute === 0) return null;
  const factor = perMinute / 60;
  return { perMinute, perHour: Math.ceil(1000 * factor), burst: Math.max(10, Math.ceil(10 * factor)) };
}

/** What a client of the gateway may do: all of a minute's requests may come at once, and an hour has no limit of its own. Null for 0, which is no limit. */
export const gatewayLimitsOf = (perMinute: number): RateLimits | null =>
  perMinute === 0 ? null : { perMinute, perHour: 60 * perMinute, burst: Math.max(10, perMinute) };

/**
 * Limits of the changes that clients of the API ask for. Only agents have any: never the editor, and never the user's own command line. A
 * client that can open the socket runs as the user, so this is no protection against attackers: it stops a program that runs away.
 */
export const changeLimits =
  (perMinute: number) =>
  (client: string): RateLimits | null =>
    isAgent(client) ? limitsOf(perMinute) : null;

/** Where the user sets a limit: VS Code starts the backend as well as the command line does. */
export const whereSet = ({ setting, flag }: { readonly setting: string; readonly flag: string }): string =>
  `${setting} in VS Code's settings, or --${flag} of "cwm serve"`;

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const maxClients = 1000;

interface ClientBuckets {
  readonly ofMinute: Bucket;
  readonly ofHour: Bucket;
}

/** What is counted, and where the user sets how many. */
interface Counted {
  readonly what: string;
  readonly where: string;
}

const changes: Counted = { what: 'changes', where: whereSet(backendSettings.rateLimit) };
/** Of a client of the gateway. */
export const gatewayRequests: Counted = { what: 'requests', where: whereSet(backendSettings.gatewayRateLimit) };

/** Counts the changes, or requests, that each client asks for. */
export class RateLimiter {
  readonly #limitsOf: (client: string) => RateLimits | null;
  readonly #counted: Counted;
  readonly #clock: Pick<Clock, 'elapsedMs'>;
  readonly #clients = new Map<string, ClientBuckets>();

  /** @param counted default: changes. */
  constructor(
    limitsOf: (client: string) => RateLimits | null,
    clock: Pick<Clock, 'elapsedMs'>,
    counted: Counted = changes,
  ) {
    this.#limitsOf = limitsOf;
    this.#counted = counted;
    this.#clock = clock;
  }

  /** Why a client may not ask now, and where the user changes that; null: it may, and this one counts. A client of another program is answered all the same. */
  whyRefused(client: string): string | null {
    try {
      this.take(client);
      return null;
    } catch (error) {
      const { message } = toCwmError(error);
      return `${message} It is set by ${this.#counted.where}.`;
    }
  }

  /** @throws CwmError TooManyRequests with the seconds to wait; a refused change does not count. */
  take(client: string): void {
    const limits = this.#limitsOf(client);
    if (limits === null) return;
    const nowMs = this.#clock.elapsedMs();
    const { ofMinute, ofHour } = this.#bucketsOf(client, limits, nowMs);
    const [minuteWaitMs, hourWaitMs] = [ofMinute.waitMs(nowMs), ofHour.waitMs(nowMs)];
    const waitMs = Math.max(minuteWaitMs, hourWaitMs);
    if (waitMs > 0) {
      const reached = hourWaitMs > minuteWaitMs ? [limits.perHour, 'an hour'] : [limits.perMinute, 'a minute'];
      const seconds = Math.ceil(waitMs / 1000);
      const { what, where } = this.#counted;
      throw new CwmError(
        'TooManyRequests',
        `This client has reached its limit of ${reached[0]} ${what} ${reached[1]}.`,
        {
          hint: `Wait ${seconds} s, or raise ${where}. A change takes effect at the next start of the backend.`,
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
