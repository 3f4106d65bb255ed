import { systemClock, type Clock } from '../../base/clock.ts';
import { SerialQueue } from '../../base/serialQueue.ts';
import type {
  BlockLocation,
  ChatMessage,
  Engine,
  EngineDescription,
  ForgottenKv,
  GenerateRequest,
  OnPiece,
  Generation,
  KvContext,
  KvPlace,
  Measurement,
  PackedKv,
  PersistEvidence,
  RestoreEvidence,
  TakenKv,
} from '../../core/ports/engine.ts';
import type { Capabilities } from '../../protocol/schemas/capabilities.ts';
import { CwmError } from '../../protocol/errors.ts';
import type { Connect } from '../http/address.ts';
import type { Link } from '../http/link.ts';
import { LinkFactory } from '../http/linkFactory.ts';
import { farMs } from '../../core/ports/engine.ts';
import { orAborted } from '../http/orAborted.ts';
import { probeHoldsMs } from '../probe/capability.ts';
import { defaultTimeouts, systemSleep, systemTimer, type Sleep, type Timeouts, type Timer } from '../http/timing.ts';
import { LmcacheCoordinator } from '../lmcache/coordinator.ts';
import { PinnedKv } from '../lmcache/pinnedKv.ts';
import { asBelieved, testBeside } from './asking/belief.ts';
import { eventsFound } from './findings/eventsFound.ts';
import { CountedRequests, type BesideTest } from './asking/countedRequests.ts';
import { isFar, named, type KnownServer } from './asking/knownServer.ts';
import { measureContext } from './asking/measure.ts';
import { persistContext } from './asking/persist.ts';
import { BlockStore, type BlockFilesOptions } from './blocks/blockStore.ts';
import { CanaryAsker } from './chat/canaryAsker.ts';
import { checkEcho, completionRequest, probeRequest } from './chat/completion.ts';
import { converse } from './chat/converse.ts';
import type { BlockEvents } from './events/blockEvents.ts';
import type { EventSource } from './events/eventSource.ts';
import { Dialect } from './dialect.ts';
import { packKv, unpackKv } from './blocks/carriedKv.ts';
import { weigh } from './metrics/evidence.ts';
import { findCut } from './chat/promptCheck.ts';
import { probeVllm, type Completed, type ProbeParts } from './probe.ts';
import { identifyServer, isSameServer, roundsToIdentify } from './serverIdentity.ts';
import { completionSchema } from './wire.ts';
import { completeIds, detokenizeIds, tokenizeChat } from './chat/tokenize.ts';

export interface VllmEngineOptions {
  readonly spec: string;
  readonly connect: Connect;
  /** Sent as a bearer token when the address has none of its own. */
  readonly apiKey?: string | undefined;
  /** The model to use on a server with several. Default: the first one. */
  readonly model?: string | undefined;
  readonly blockFiles?: BlockFilesOptions | undefined;
  /** URL of the coordinator of the LMCache that stores its KV. */
  readonly lmcache?: string | undefined;
  /** Loads its events about its KV blocks. */
  readonly events?: (() => Promise<EventSource>) | undefined;
  /** Where the server's command line says that it publishes them, for the findings of a probe. */
  readonly offeredEvents?: string | undefined;
  /** For the second that events may take. Default: `timer`. */
  readonly eventTimer?: Timer;
  readonly timeouts?: Partial<Timeouts>;
  /** How long `persist` waits for block files while none appears. Default 30 s. */
  readonly persistPatienceMs?: number;
  /** Receives the blocks of {@link Engine.expect}. */
  readonly expect?: (hashes: readonly string[]) => void;
  readonly clock?: Clock;
  readonly timer?: Timer;
  readonly sleep?: Sleep;
  /** Spreads retries; in 0 … 1. */
  readonly random?: () => number;
}

/** How long files are waited for that did not appear the last time. */
const briefPatienceMs = 3_000;

/** A server that speaks vLLM's dialect of the OpenAI API: vLLM itself, the embedded engine, and others. */
export class VllmEngine implements Engine {
  readonly spec: string;
  readonly #model: string | undefined;
  readonly #blockFiles: BlockFilesOptions | undefined;
  readonly #persistPatienceMs: number;
  readonly #expect: (hashes: readonly string[]) => void;
  readonly #clock: Clock;
  readonly #timer: Timer;
  readonly #sleep: Sleep;
  readonly #links: LinkFactory;
  readonly #lmcache: LmcacheCoordinator | null;
  readonly #pinned: PinnedKv | null;
  readonly #queue = new SerialQueue();
  #known: KnownServer | null = null;
  readonly #requests: CountedRequests;
  readonly #events: Promise<BlockEvents> | null;
  readonly #offeredEvents: string | undefined;
  /** No file of the last context appeared where they should, however long they were waited for. */
  #storesNothing = false;
  /** The thaw whose context was restored last, until another request comes. */
  #thaw: (Pick<KvContext, 'ids' | 'salt'> & { readonly isMeasured: boolean }) | null = null;
  /** Set when the server was lost: the next server at this address may be another one. */
  #suspect = false;

  constructor(options: VllmEngineOptions) {
    this.spec = options.spec;
    this.#model = options.model;
    this.#blockFiles = options.blockFiles;
    this.#persistPatienceMs = options.persistPatienceMs ?? 30_000;
    this.#expect = options.expect ?? (() => undefined);
    this.#clock = options.clock ?? systemClock;
    this.#timer = options.timer ?? systemTimer;
    this.#sleep = options.sleep ?? systemSleep;
    this.#events = options.events ? loadEvents(options.events, options.eventTimer ?? this.#timer) : null;
    this.#offeredEvents = options.offeredEvents;
    this.#requests = new CountedRequests({
      clock: this.#clock,
      sleep: this.#sleep,
      isFar: () => isFar(this.#known),
      events: this.#events,
    });
    const http = {
      timeouts: { ...defaultTimeouts, ...options.timeouts },
      timer: this.#timer,
      sleep: this.#sleep,
      random: options.random ?? Math.random,
    };
    this.#links = new LinkFactory({
      ...http,
      connect: options.connect,
      apiKey: options.apiKey,
      onConnectionFailure: () => (this.#suspect = true),
    });
    this.#lmcache = options.lmcache === undefined ? null : new LmcacheCoordinator({ ...http, url: options.lmcache });
    this.#pinned = this.#lmcache && new PinnedKv(this.#lmcache, this.#sleep);
  }

  describe(signal: AbortSignal): Promise<EngineDescription> {
    return this.#links.use(signal, async (link, signal) => {
      const { identity, blocks, capabilities, roundTripMs } = await this.#identify(link, signal);
      const { description } = identity;
      const blockTokens = description.blockTokens ?? capabilities?.blockTokens ?? null;
      const isUntried = description.isUntried && capabilities === null;
      return {
        ...description,
        blockTokens,
        hashProfile: blocks.hashProfile,
        isUntried,
        notices: [...description.notices, ...(await this.#eventNotices())],
        ...(roundTripMs >= farMs && { roundTripMs }),
      };
    });
  }

  probe(signal: AbortSignal): Promise<Capabilities> {
    return this.#inTurn(signal, async (link, signal) => {
      const server = await this.#identify(link, signal);
      const isRecent = this.#clock.elapsedMs() - server.probedAtMs <= probeHoldsMs;
      if (server.capabilities && isRecent) return this.#withEvents(server.capabilities, server);
      const probed = await probeVllm(this.#probeParts(link, server, signal), signal);
      const { capabilities, isComplete, claims, announces } = probed;
      if (claims !== null && server.isBelieved !== false) server.isBelieved = !claims;
      server.announces ??= announces;
      if (isComplete) {
        server.capabilities = capabilities;
        server.probedAtMs = this.#clock.elapsedMs();
      }
      return this.#withEvents(capabilities, server);
    });
  }

  tokenize(
    messages: readonly ChatMessage[],
    addGenerationPrompt: boolean,
    signal: AbortSignal,
  ): Promise<readonly number[]> {
    return this.#links.use(signal, async (link, signal) => {
      const { identity } = await this.#server(link, signal);
      return tokenizeChat(link, identity.description.model.id, messages, addGenerationPrompt, signal);
    });
  }

  detokenize(ids: readonly number[], signal: AbortSignal): Promise<string | null> {
    return this.#links.use(signal, async (link, signal) => {
      const { identity } = await this.#server(link, signal);
      return detokenizeIds(link, identity.description.model.id, ids, signal);
    });
  }

  generate(request: GenerateRequest, onPiece: OnPiece, signal: AbortSignal): Promise<Generation> {
    return this.#inTurn(signal, async (link, signal) => {
      this.#thaw = null;
      const server = await this.#server(link, signal);
      const { dialect } = server;
      const { id: model, maxModelLen } = server.identity.description.model;
      const elapsedMs = (): number => this.#clock.elapsedMs();
      const { stops } = server.identity;
      const { kind } = server.identity.description;
      const forms = { leavesCallsInText: kind === 'embedded', enforcesSchemas: kind === 'vllm' };
      const parts = { link, model, maxModelLen, dialect, stops, elapsedMs, ...forms };
      const { answer, request: asked } = await this.#requests.uncounted(() =>
        converse(parts, request, onPiece, signal),
      );
      const countedPromptTokens = answer.usage?.prompt_tokens ?? null;
      const promptIds = answer.promptIds ?? asked.promptIds ?? null;
      const isOwn = server.identity.description.kind === 'embedded';
      const answered = { ...answer, promptIds, countedPromptTokens, isOwn };
      const { tokenized, ...ids } = await completeIds(link, model, asked, answered, signal);
      const cut = findCut(countedPromptTokens, asked.promptIds ?? tokenized, asked.messages);
      return {
        text: answer.text,
        reasoning: answer.reasoning,
        toolCalls: answer.toolCalls,
        ...ids,
        outputTokens: answer.usage?.completion_tokens ?? answer.outputIds?.length ?? null,
        finishReason: answer.finishReason,
        reuse: asBelieved(weigh({ ...answer, sentTokens: ids.promptIds.length, before: null, after: null }), server),
        cut,
      };
    });
  }

  persist(context: KvContext, signal: AbortSignal): Promise<PersistEvidence> {
    return this.#inTurn(signal, async (link, signal) => {
      this.#thaw = null;
      const server = await this.#server(link, signal);
      const parts = {
        link,
        server,
        pinned: this.#pinned,
        sleep: this.#sleep,
        patienceMs: this.#storesNothing ? Math.min(this.#persistPatienceMs, briefPatienceMs) : this.#persistPatienceMs,
        onLocated: (storesNothing: boolean) => (this.#storesNothing = storesNothing),
        justAsked: (context: KvContext) => this.#requests.justAsked(context),
        complete: (context: KvContext, canary: boolean) =>
          this.#ask(link, server, { context, canary, tail: 'store' }, signal),
        elapsedMs: () => this.#clock.elapsedMs(),
      };
      return persistContext(parts, context, signal);
    });
  }

  /** The next request finds the KV by itself in any tier. Only LMCache must be told, to start loading. */
  expect(hashes: readonly string[]): void {
    this.#expect(hashes);
  }

  async restore(context: KvContext, signal: AbortSignal): Promise<RestoreEvidence> {
    if (signal.aborted) throw new CwmError('Cancelled', 'The restore was cancelled.');
    if (this.#known?.isBelieved) this.#known.isBelieved = null;
    this.#thaw = { ids: context.ids, salt: context.salt, isMeasured: false };
    const pinned = this.#pinned;
    if (!pinned) return { outcome: 'on-demand', notes: [] };
    return this.#inTurn(signal, async (link, signal) => {
      const { identity } = await this.#server(link, signal);
      return { outcome: 'on-demand', notes: await pinned.bring(named(identity, context), signal) };
    });
  }

  measure(context: KvContext, signal: AbortSignal): Promise<Measurement> {
    return this.#inTurn(signal, async (link, signal) => {
      const server = await this.#server(link, signal);
      const probe = this.#probeParts(link, server, signal);
      const parts = {
        server,
        complete: (asked: KvContext, canary: boolean) => {
          const how = this.#placeInThaw(asked);
          const beside = how === 'first' ? testBeside(server, probe, signal) : null;
          return this.#ask(
            link,
            server,
            { context: asked, canary, tail: 'load', beside, follows: how === 'later' },
            signal,
          );
        },
        onAsked: (completed: Completed) => this.#requests.noteAsked(context, completed),
        probe,
      };
      return measureContext(parts, context, signal);
    });
  }

  locate(context: KvContext, signal: AbortSignal): Promise<BlockLocation> {
    return this.#withBlocks(signal, (blocks, signal) => blocks.locate(context, signal));
  }

  checksum(hashes: readonly string[], signal: AbortSignal, asWritten = false): Promise<readonly (string | null)[]> {
    return this.#withBlocks(signal, (blocks, signal) => blocks.checksum(hashes, asWritten ? 'head' : 'bytes', signal));
  }

  async forget({ hashes, handle, context }: ForgottenKv, signal: AbortSignal): Promise<number> {
    return this.#inTurn(signal, async (link, signal) => {
      const { identity, blocks } = await this.#server(link, signal);
      const freedBytes = await blocks.forget(hashes, signal);
      if (context) await this.#pinned?.release(named(identity, context), handle, signal);
      return freedBytes;
    });
  }

  pack(context: KvContext, path: string | undefined, signal: AbortSignal): Promise<PackedKv | null> {
    return this.#whereEmbedded(signal, (link, signal) => packKv(link, context, path, signal));
  }

  unpack(context: KvContext, place: KvPlace, signal: AbortSignal): Promise<TakenKv | null> {
    return this.#whereEmbedded(signal, (link, signal) => unpackKv(link, context, place, signal));
  }

  async close(): Promise<void> {
    await Promise.all([this.#events?.then((events) => events.close()), this.#links.close(), this.#lmcache?.close()]);
  }

  /** A call that changes the engine's cache, or reads counters around a request, runs alone. */
  #inTurn<T>(signal: AbortSignal, operation: (link: Link, signal: AbortSignal) => Promise<T>): Promise<T> {
    return orAborted(
      this.#queue.run(() => this.#links.use(signal, operation), signal),
      signal,
    );
  }

  #whereEmbedded<T>(signal: AbortSignal, ask: (link: Link, signal: AbortSignal) => Promise<T>): Promise<T | null> {
    return this.#inTurn(signal, async (link, signal) => {
      const { identity } = await this.#server(link, signal);
      return identity.description.kind === 'embedded' ? ask(link, signal) : null;
    });
  }

  #withBlocks<T>(signal: AbortSignal, operation: (blocks: BlockStore, signal: AbortSignal) => Promise<T>): Promise<T> {
    return this.#links.use(signal, async (link, signal) =>
      operation((await this.#server(link, signal)).blocks, signal),
    );
  }

  /** The last known server. Asks again only when the server was lost since. */
  async #server(link: Link, signal: AbortSignal): Promise<KnownServer> {
    if (this.#known && !this.#suspect && this.#known.identity.label === link.label) return this.#known;
    return this.#identify(link, signal);
  }

  async #identify(link: Link, signal: AbortSignal): Promise<KnownServer> {
    const wasLost = this.#suspect;
    this.#suspect = false;
    const startedMs = this.#clock.elapsedMs();
    const choice = { wanted: this.#model, before: this.#known?.identity.description.model.id };
    const identity = await identifyServer(link, choice, signal);
    const now = this.#clock.elapsedMs();
    const roundTripMs = (now - startedMs) / roundsToIdentify(choice);
    this.#requests.noteCounters(identity.metrics, now);
    if (this.#known && isSameServer(this.#known.identity, identity)) {
      this.#known.roundTripMs = roundTripMs;
      // A server that does not say when it started may have restarted.
      if (wasLost && identity.startedSeconds === null && this.#known.isBelieved) this.#known.isBelieved = null;
      return this.#known;
    }
    this.#known = {
      identity,
      blocks: new BlockStore(identity, this.#blockFiles),
      dialect: new Dialect(identity),
      canaries: new CanaryAsker(),
      capabilities: null,
      probedAtMs: 0,
      isBelieved: null,
      announces: null,
      askedAtMs: 0,
      roundTripMs,
      countedTokens: 0,
    };
    return this.#known;
  }

  async #ask(
    link: Link,
    server: KnownServer,
    asked: {
      readonly context: KvContext;
      readonly canary: boolean;
      readonly tail: 'load' | 'store';
      readonly beside?: BesideTest | null;
      readonly follows?: boolean;
    },
    signal: AbortSignal,
  ): Promise<Completed> {
    const { context, canary } = asked;
    const { kind, model } = server.identity.description;
    const request = completionRequest(model.id, context, canary, kind === 'embedded' ? asked.tail : undefined);
    return this.#requests.complete(link, server, context, request, signal, asked);
  }

  /** Where a request over a context stands among those since the context was to be restored; null: something else has come since. */
  #placeInThaw({ ids, salt }: KvContext): 'first' | 'later' | null {
    const thaw = this.#thaw;
    if (thaw?.salt !== salt) return (this.#thaw = null);
    if (thaw.isMeasured) return 'later';
    this.#thaw = { ...thaw, isMeasured: true };
    return thaw.ids === ids ? 'first' : null;
  }

  async #eventNotices(): Promise<string[]> {
    const events = await this.#events;
    if (!events || (await events.ready())) return [];
    return [
      `The events that "#events" names cannot be read (${events.problem}), so reuse is judged without them. Start vLLM with --kv-events-config, and the same endpoint.`,
    ];
  }

  /** Asked each time: the events may be there now. Other servers have none. */
  async #withEvents(capabilities: Capabilities, { identity, announces }: KnownServer): Promise<Capabilities> {
    if (identity.description.kind !== 'vllm') return capabilities;
    const events = await this.#events;
    const problem = events && !(await events.ready()) ? events.problem : null;
    const ranks = identity.metrics?.ranks ?? 0;
    const found = eventsFound({ isNamed: events !== null, offered: this.#offeredEvents, problem, ranks, announces });
    return { ...capabilities, items: [...capabilities.items, found] };
  }

  #probeParts(link: Link, server: KnownServer, signal: AbortSignal): ProbeParts {
    const { identity, blocks } = server;
    const { kind, model } = identity.description;
    return {
      link,
      identity,
      blocks,
      timer: this.#timer,
      elapsedMs: () => this.#clock.elapsedMs(),
      sleep: this.#sleep,
      complete: (context, canary, keptTokens) => {
        const request = probeRequest(model.id, context, { canary, isVllm: kind === 'vllm', keptTokens });
        return this.#requests.complete(link, server, context, request, signal);
      },
      askUncounted: (context) =>
        this.#requests.uncounted(async () => {
          const request = probeRequest(model.id, context, { canary: false, isVllm: kind === 'vllm' });
          const { value } = await server.dialect.ask(request, (sent) => link.json(sent, completionSchema, signal));
          checkEcho(value, context.ids, link.label);
          return value;
        }),
    };
  }
}

/** The only place that loads what reads events: nobody pays for it whose server's spec names none. */
async function loadEvents(load: () => Promise<EventSource>, timer: Timer): Promise<BlockEvents> {
  const [{ BlockEvents }, source] = await Promise.all([import('./events/blockEvents.ts'), load()]);
  return new BlockEvents(source, timer);
}
