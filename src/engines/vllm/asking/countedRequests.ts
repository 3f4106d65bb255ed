import { randomId } from '../../../base/hash.ts';
import type { Clock } from '../../../base/clock.ts';
import type { KvContext, ReuseEvidence } from '../../../core/ports/engine.ts';
import { CwmError } from '../../../protocol/errors.ts';
import type { Link, LinkRequest } from '../../http/link.ts';
import type { Sleep } from '../../http/timing.ts';
import type { BlockEvents } from '../events/blockEvents.ts';
import { reusableBlocks, weighEvents, type SentRequest } from '../events/weighEvents.ts';
import { checkEcho } from '../chat/completion.ts';
import { weigh } from '../metrics/evidence.ts';
import type { ServerMetrics } from '../metrics/serverMetrics.ts';
import type { Completed } from '../probe.ts';
import { readMetrics } from '../serverIdentity.ts';
import { completionSchema } from '../wire.ts';
import type { KnownServer } from './knownServer.ts';

/**
 * Counters that are at most this old, in milliseconds, stand for those before a request. Older ones would prove no less: what others had
 * computed since would show, and the server count as busy.
 */
const freshMs = 1_000;
/**
 * The same for those after a request that was no part of the same thaw, of a server that is far away. Of another one they are read again,
 * which finds out whether it has restarted.
 */
const freshAfterMs = 20;

/** A request that ended at most this long ago, in milliseconds, was just asked. */
const momentMs = 20;

/** Pauses before another reading of counters that have not moved yet: the server adds up after it answers. */
const counterPausesMs = [10, 25, 50, 100, 200];

type AskedServer = Pick<KnownServer, 'identity' | 'dialect' | 'blocks' | 'announces'>;

/** A test of the server that is sent right behind a request, and may share a step of the engine with it. */
export interface BesideTest {
  /** Tokens of its prompt. */
  readonly tokens: number;
  /** Whether the server claims what cannot be; null when it does not answer. */
  readonly ask: () => Promise<boolean | null>;
}

/** Requests over token ids, each between two readings of the server's counters. They must not run at the same time. */
export class CountedRequests {
  readonly #clock: Clock;
  readonly #sleep: Sleep;
  readonly #isFar: () => boolean;
  readonly #events: Promise<BlockEvents> | null;
  /** The last reading of the counters; null where a request that is not counted came after it. */
  #latest: { readonly metrics: ServerMetrics | null; readonly atMs: number; readonly isAfter: boolean } | null = null;
  #uncountedUnderWay = 0;
  /** The last request over a whole context, and its observation. */
  #lastAsked: { readonly context: KvContext; readonly completed: Completed; readonly atMs: number } | null = null;

  /**
   * @param options.isFar whether the server's answers take so long that a reading of its counters should be used twice.
   * @param options.events the server's events about its KV blocks, where its spec names them.
   */
  constructor(options: {
    readonly clock: Clock;
    readonly sleep: Sleep;
    readonly isFar: () => boolean;
    readonly events: Promise<BlockEvents> | null;
  }) {
    this.#clock = options.clock;
    this.#sleep = options.sleep;
    this.#isFar = options.isFar;
    this.#events = options.events;
  }

  /** Takes counters that another request has just read. */
  noteCounters(metrics: ServerMetrics | null, atMs: number, isAfter = false): void {
    if (this.#uncountedUnderWay === 0) this.#latest = { metrics, atMs, isAfter };
  }

  /** Sends what is not counted: counters that were read before its end lack it. */
  async uncounted<T>(send: () => Promise<T>): Promise<T> {
    this.#latest = null;
    this.#uncountedUnderWay++;
    try {
      return await send();
    } finally {
      this.#uncountedUnderWay--;
    }
  }

  /** Takes the observation of a request over a whole context. */
  noteAsked(context: KvContext, completed: Completed): void {
    this.#lastAsked = { context, completed, atMs: this.#clock.elapsedMs() };
  }

  /** The observation of a request over this very context a moment ago: the server has the KV that it computed, too. */
  justAsked({ ids, salt }: KvContext): Completed | null {
    const last = this.#lastAsked;
    this.#lastAsked = null;
    const isSame = this.#isFar() && last?.context.ids === ids && last.context.salt === salt;
    return isSame && this.#clock.elapsedMs() - last.atMs <= momentMs ? last.completed : null;
  }

  /**
   * @param how.beside is sent as well, but not where the server's events tell what it reuses.
   * @param how.follows whether it is a part of a thaw behind the first one.
   */
  async complete(
    link: Link,
    server: AskedServer,
    context: KvContext,
    request: LinkRequest,
    signal: AbortSignal,
    { beside = null, follows = false }: { readonly beside?: BesideTest | null; readonly follows?: boolean } = {},
  ): Promise<Completed> {
    const { identity, dialect } = server;
    assertFits(context.ids.length, identity.description.model.maxModelLen, link.label);
    const announced = await this.#watch(server, context);
    const before = await this.#readBefore(link, follows, signal);
    const startedMs = this.#clock.elapsedMs();
    const send = (fitting: LinkRequest) => link.json(fitting, completionSchema, signal);
    const asked = announced ? announced.mark(request) : request;
    const answering = dialect
      .ask(asked, send)
      .then((answer) => ({ ...answer, timeToFirstTokenMs: this.#clock.elapsedMs() - startedMs }));
    answering.catch(() => undefined);
    // Behind it, so that a server that begins to lie with this very request, and goes on, does so in the test, too.
    const testing = announced ? null : beside?.ask();
    const claims = testing ? await testing.catch(() => null) : undefined;
    const { value, triedBefore, timeToFirstTokenMs } = await answering.catch((error: unknown) => {
      announced?.end();
      throw error;
    });
    checkEcho(value, context.ids, link.label);
    const besideTokens = beside && typeof claims === 'boolean' ? beside.tokens : 0;
    const after = before && (await this.#readMoved(link, before, besideTokens, signal));
    if (after) this.noteCounters(after, this.#clock.elapsedMs(), true);
    const sentTokens = context.ids.length;
    const weighed = weigh({
      sentTokens,
      usage: value.usage ?? null,
      triedBefore,
      timeToFirstTokenMs,
      serverTimeToFirstTokenMs: value.metrics?.time_to_first_token_ms ?? null,
      before,
      after,
      besideTokens,
    });
    const asksConnector = (after?.externalQueries ?? 0) > 0;
    const reuse = announced ? await announced.weigh(weighed, { triedBefore, sentTokens, asksConnector }) : weighed;
    const withoutEvents = reuse.isUnannounced ? weighed : null;
    return { completion: value, reuse, withoutEvents, before, after, ...(claims !== undefined && { claims }) };
  }

  /**
   * Prepares the reading of events for the next request, under a nonce of its own. Null where no events arrive, where the names of the
   * blocks are not known, or where the server does not announce what it reuses.
   */
  async #watch({ identity, blocks, announces }: AskedServer, context: KvContext) {
    const { hashProfile } = blocks;
    const { kind, blockTokens } = identity.description;
    const events = await this.#events;
    if (!events || kind !== 'vllm' || announces === false || hashProfile === null || blockTokens === null) return null;
    // Each rank publishes at an endpoint of its own, and nobody knows which one gets the request.
    if ((identity.metrics?.ranks ?? 0) > 1) return null;
    if (!(await events.ready())) return null;
    const nonce = `cwm-${randomId()}`;
    const watched = events.watch(nonce);
    return {
      mark: (request: LinkRequest): LinkRequest => ({
        ...request,
        headers: { ...request.headers, 'x-session-id': nonce },
        body: { ...(request.body as object), vllm_xargs: { kv_cache_report_mode: 'full' } },
      }),
      weigh: async (reuse: ReuseEvidence, sent: SentRequest) => {
        const expected = reusableBlocks(context, hashProfile, blockTokens);
        const outcome = await watched.outcome(expected).finally(() => watched.end());
        return weighEvents(reuse, outcome, expected, sent);
      },
      end: () => watched.end(),
    };
  }

  /** The counters before a request: those after the last one where no pause lies between them, since each reading takes a round trip. */
  async #readBefore(link: Link, follows: boolean, signal: AbortSignal): Promise<ServerMetrics | null> {
    const latest = this.#latest;
    this.#latest = null;
    if (latest === null) return readMetrics(link, signal);
    const mostMs = !latest.isAfter || follows ? freshMs : this.#isFar() ? freshAfterMs : -1;
    return this.#clock.elapsedMs() - latest.atMs <= mostMs ? latest.metrics : readMetrics(link, signal);
  }

  /** The counters after a request. Reads them again for a moment while they do not include the request. */
  async #readMoved(
    link: Link,
    before: ServerMetrics,
    besideTokens: number,
    signal: AbortSignal,
  ): Promise<ServerMetrics | null> {
    for (const pauseMs of counterPausesMs) {
      const after = await readMetrics(link, signal);
      if (!after || after.promptTokens === null) return after;
      const moved = after.promptTokens - (before.promptTokens ?? 0);
      if (moved !== 0 && moved !== besideTokens) return after;
      await this.#sleep(pauseMs, signal);
    }
    return readMetrics(link, signal);
  }
}

/** The one new token needs a place too. */
function assertFits(tokens: number, maxModelLen: number | null, label: string): void {
  if (tokens === 0) throw new CwmError('InvalidParameter', 'There are no token ids to ask the model server about.');
  if (maxModelLen === null || tokens + 1 <= maxModelLen) return;
  throw new CwmError(
    'ContextTooLong',
    `The context has ${tokens} tokens; the model at ${label} takes ${maxModelLen}.`,
    {
      hint: 'Serve the model with a larger --max-model-len.',
      context: { tokens, maxModelLen },
    },
  );
}
