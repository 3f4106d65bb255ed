import { systemClock, type Clock } from '../../base/clock.ts';
import { SerialQueue } from '../../base/serialQueue.ts';
import type {
  BlockLocation,
  ChatMessage,
  Engine,
  EngineDescription,
  ForgottenKv,
  GenerateRequest,
  Generation,
  KvContext,
  Measurement,
  PersistEvidence,
  RestoreEvidence,
  ReuseEvidence,
} from '../../core/ports/engine.ts';
import type { Capabilities } from '../../protocol/schemas/capabilities.ts';
import { CwmError, isCwmError } from '../../protocol/errors.ts';
import type { Connect } from '../http/address.ts';
import type { Link, LinkRequest } from '../http/link.ts';
import { LinkFactory } from '../http/linkFactory.ts';
import { farMs } from '../../core/ports/engine.ts';
import { orAborted } from '../http/orAborted.ts';
import { defaultTimeouts, systemSleep, systemTimer, type Sleep, type Timeouts, type Timer } from '../http/timing.ts';
import { LmcacheCoordinator } from '../lmcache/coordinator.ts';
import { PinnedKv, pieceTokens } from '../lmcache/pinnedKv.ts';
import { BlockStore, type BlockFilesOptions } from './blocks/blockStore.ts';
import { CanaryAsker } from './chat/canaryAsker.ts';
import { checkEcho, completionRequest, probeRequest } from './chat/completion.ts';
import { converse } from './chat/converse.ts';
import { Dialect } from './dialect.ts';
import { weigh } from './metrics/evidence.ts';
import { findCut } from './chat/promptCheck.ts';
import { claimsWhatCannotBe, probeVllm, type Completed, type ProbeParts } from './probe.ts';
import { identifyServer, isSameServer, readMetrics, type ServerIdentity } from './serverIdentity.ts';
import type { ServerMetrics } from './metrics/serverMetrics.ts';
import { persistNotes, waitForBlocks, waitForTier } from './settle.ts';
import { completeIds, detokenizeIds, tokenizeChat } from './chat/tokenize.ts';
import { completionSchema } from './wire.ts';

export interface VllmEngineOptions {
  readonly spec: string;
  readonly connect: Connect;
  /** Sent as a bearer token where the address brings none of its own. */
  readonly apiKey?: string | undefined;
  /** Model to use where the server has several; its first one otherwise. */
  readonly model?: string | undefined;
  readonly blockFiles?: BlockFilesOptions | undefined;
  /** URL of the coordinator of the LMCache that keeps its KV. */
  readonly lmcache?: string | undefined;
  readonly timeouts?: Partial<Timeouts>;
  /** How long `persist` waits for block files while none appears. Default 30 s. */
  readonly persistPatienceMs?: number;
  readonly clock?: Clock;
  readonly timer?: Timer;
  readonly sleep?: Sleep;
  /** Spreads retries; in 0 … 1. */
  readonly random?: () => number;
}

/** A server, and everything that holds as long as it is this one. */
interface KnownServer {
  readonly identity: ServerIdentity;
  readonly blocks: BlockStore;
  /** How long it takes to answer anything, in milliseconds. */
  roundTripMs: number;
  readonly dialect: Dialect;
  readonly canaries: CanaryAsker;
  /** What a probe found. */
  capabilities: Capabilities | null;
  /** Null until it was asked for what it can't have, and again when that may have changed; false for good once it claimed to have it. */
  isBelieved: boolean | null;
  /** When it was asked last, by the monotonic clock. */
  askedAtMs: number;
  /** As it counted them last; less than that is another server, or one that makes its counters up. */
  countedTokens: number;
}

/** Counters that are not older than this, in milliseconds, are those of now. */
const freshMs = 20;

/** The list of models, then version and counters together. */
const roundsToIdentify = 2;

/** However well it goes, a server's word on reuse is tested again after this time. */
const beliefMs = 3_600_000;

/** Pauses before the counters are read once more, when they have not moved yet: the server adds up after it answers. */
const counterPausesMs = [10, 25, 50, 100, 200];

/** A server that speaks vLLM's dialect of the OpenAI API: vLLM itself, the embedded engine, and what else understands it. */
export class VllmEngine implements Engine {
  readonly spec: string;
  readonly #model: string | undefined;
  readonly #blockFiles: BlockFilesOptions | undefined;
  readonly #persistPatienceMs: number;
  readonly #clock: Clock;
  readonly #timer: Timer;
  readonly #sleep: Sleep;
  readonly #links: LinkFactory;
  readonly #lmcache: LmcacheCoordinator | null;
  readonly #pinned: PinnedKv | null;
  readonly #queue = new SerialQueue();
  #known: KnownServer | null = null;
  /** The counters as they were read last. */
  #latest: { readonly metrics: ServerMetrics | null; readonly atMs: number } | null = null;
  /** The last request over a whole context, and what it showed. */
  #lastAsked: { readonly context: KvContext; readonly completed: Completed; readonly atMs: number } | null = null;
  /** Set when the server was lost: whatever answers next may be another one. */
  #suspect = false;

  constructor(options: VllmEngineOptions) {
    this.spec = options.spec;
    this.#model = options.model;
    this.#blockFiles = options.blockFiles;
    this.#persistPatienceMs = options.persistPatienceMs ?? 30_000;
    this.#clock = options.clock ?? systemClock;
    this.#timer = options.timer ?? systemTimer;
    this.#sleep = options.sleep ?? systemSleep;
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
        ...(roundTripMs >= farMs && { roundTripMs }),
      };
    });
  }

  probe(signal: AbortSignal): Promise<Capabilities> {
    return this.#inTurn(signal, async (link, signal) => {
      const server = await this.#identify(link, signal);
      if (server.capabilities) return server.capabilities;
      const { capabilities, isComplete, claims } = await probeVllm(this.#probeParts(link, server, signal), signal);
      if (claims !== null && server.isBelieved !== false) server.isBelieved = !claims;
      if (isComplete) server.capabilities = capabilities;
      return capabilities;
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

  generate(request: GenerateRequest, onDelta: (text: string) => void, signal: AbortSignal): Promise<Generation> {
    return this.#inTurn(signal, async (link, signal) => {
      const server = await this.#server(link, signal);
      const { dialect } = server;
      const { id: model, maxModelLen } = server.identity.description.model;
      const elapsedMs = (): number => this.#clock.elapsedMs();
      const { stops } = server.identity;
      const parts = { link, model, maxModelLen, dialect, stops, elapsedMs };
      const { answer, request: asked } = await converse(parts, request, onDelta, signal);
      const countedPromptTokens = answer.usage?.prompt_tokens ?? null;
      const promptIds = answer.promptIds ?? asked.promptIds ?? null;
      const answered = { ...answer, promptIds, countedPromptTokens };
      const { tokenized, ...ids } = await completeIds(link, model, asked, answered, signal);
      const cut = findCut(countedPromptTokens, asked.promptIds ?? tokenized, asked.messages);
      return {
        text: answer.text,
        reasoning: answer.reasoning,
        ...ids,
        finishReason: answer.finishReason,
        reuse: asBelieved(weigh({ ...answer, sentTokens: ids.promptIds.length, before: null, after: null }), server),
        cut,
      };
    });
  }

  persist(context: KvContext, signal: AbortSignal): Promise<PersistEvidence> {
    return this.#inTurn(signal, async (link, signal) => {
      const server = await this.#server(link, signal);
      const complete = (context: KvContext): Promise<Completed> => this.#ask(link, server, context, false, signal);
      let completed: Completed;
      try {
        completed = this.#justAsked(context) ?? (await complete(context));
      } catch (error) {
        if (!isLacking(server.identity, error)) throw error;
        return { reuse: nothingSeen(context), handle: null, notes: [`${noIdsTaken} It said: ${error.message}`] };
      }
      const { reuse, before, after } = completed;
      const others = reuse.promptTokens === context.ids.length ? [] : [otherTokens(reuse, context)];
      const nudge = async (): Promise<void> => {
        await complete({ ...context, ids: context.ids.slice(0, 1) });
      };
      const options = { sleep: this.#sleep, patienceMs: this.#persistPatienceMs, nudge };
      const location = await waitForBlocks(server.blocks, context, options, signal);
      const bytesWritten = async () => (await readMetrics(link, signal))?.tierBytesWritten ?? null;
      const written =
        location.reachable || !after?.offloads
          ? null
          : await waitForTier({ ...options, before: before?.tierBytesWritten ?? null, bytesWritten }, signal);
      if (!this.#pinned) return { reuse, handle: null, notes: [...others, ...persistNotes(location, written)] };
      const { handle, notes } = await this.#pinned.keep(named(server.identity, context), context.handle, signal);
      // For the canary alone: with pieces of another size it stands on more than was kept, and then it counts for less.
      const keptTokens = context.ids.length - (context.ids.length % pieceTokens);
      return {
        reuse,
        handle,
        keptTokens,
        notes: [...others, ...(location.reachable ? persistNotes(location, written) : []), ...notes],
      };
    });
  }

  /** The next request finds the KV by itself, in whichever tier it is; LMCache is told to begin with it. */
  async restore(context: KvContext, signal: AbortSignal): Promise<RestoreEvidence> {
    if (signal.aborted) throw new CwmError('Cancelled', 'The restore was cancelled.');
    if (this.#known?.isBelieved) this.#known.isBelieved = null;
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
      const complete = (context: KvContext, canary: boolean) => this.#ask(link, server, context, canary, signal);
      const { blockTokens } = server.identity.description;
      try {
        const parts = { complete, blockTokens, label: link.label };
        const { completed, canary, mayHaveRun } = await server.canaries.ask(context, parts);
        this.#lastAsked = { context, completed, atMs: this.#clock.elapsedMs() };
        const reuse = await this.#weighWord(link, server, completed, signal);
        // What the server did not answer says nothing of its KV.
        const isOfServer = !completed.reuse.isFromElsewhere;
        return {
          reuse: mayHaveRun && reuse.cachedTokens !== 0 ? unseen(reuse) : reuse,
          canary: isOfServer ? canary : null,
        };
      } catch (error) {
        if (!isLacking(server.identity, error)) throw error;
        return { reuse: nothingSeen(context), canary: null };
      }
    });
  }

  locate(context: KvContext, signal: AbortSignal): Promise<BlockLocation> {
    return this.#withBlocks(signal, (blocks, signal) => blocks.locate(context, signal));
  }

  checksum(hashes: readonly string[], signal: AbortSignal): Promise<readonly (string | null)[]> {
    return this.#withBlocks(signal, (blocks, signal) => blocks.checksum(hashes, signal));
  }

  async forget({ hashes, handle, context }: ForgottenKv, signal: AbortSignal): Promise<number> {
    return this.#inTurn(signal, async (link, signal) => {
      const { identity, blocks } = await this.#server(link, signal);
      const freedBytes = await blocks.forget(hashes, signal);
      if (context) await this.#pinned?.release(named(identity, context), handle, signal);
      return freedBytes;
    });
  }

  async close(): Promise<void> {
    await Promise.all([this.#links.close(), this.#lmcache?.close()]);
  }

  get #isFar(): boolean {
    return (this.#known?.roundTripMs ?? 0) >= farMs;
  }

  /** What a request showed that was over this very context a moment ago: the server keeps what that one computed as well. */
  #justAsked({ ids, salt }: KvContext): Completed | null {
    const last = this.#lastAsked;
    this.#lastAsked = null;
    const isSame = this.#isFar && last?.context.ids === ids && last.context.salt === salt;
    return isSame && this.#clock.elapsedMs() - last.atMs <= freshMs ? last.completed : null;
  }

  /** What changes the engine's cache, or reads counters around a request, runs alone. */
  #inTurn<T>(signal: AbortSignal, operation: (link: Link, signal: AbortSignal) => Promise<T>): Promise<T> {
    return orAborted(
      this.#queue.run(() => this.#links.use(signal, operation), signal),
      signal,
    );
  }

  #withBlocks<T>(signal: AbortSignal, operation: (blocks: BlockStore, signal: AbortSignal) => Promise<T>): Promise<T> {
    return this.#links.use(signal, async (link, signal) =>
      operation((await this.#server(link, signal)).blocks, signal),
    );
  }

  /** The server as it was last seen, asked again only when it was lost since. */
  async #server(link: Link, signal: AbortSignal): Promise<KnownServer> {
    if (this.#known && !this.#suspect && this.#known.identity.label === link.label) return this.#known;
    return this.#identify(link, signal);
  }

  async #identify(link: Link, signal: AbortSignal): Promise<KnownServer> {
    this.#suspect = false;
    const startedMs = this.#clock.elapsedMs();
    const identity = await identifyServer(
      link,
      { wanted: this.#model, before: this.#known?.identity.description.model.id },
      signal,
    );
    const now = this.#clock.elapsedMs();
    const roundTripMs = (now - startedMs) / roundsToIdentify;
    this.#latest = { metrics: identity.metrics, atMs: now };
    if (this.#known && isSameServer(this.#known.identity, identity)) {
      this.#known.roundTripMs = roundTripMs;
      return this.#known;
    }
    this.#known = {
      identity,
      blocks: new BlockStore(identity, this.#blockFiles),
      dialect: new Dialect(identity),
      canaries: new CanaryAsker(),
      capabilities: null,
      isBelieved: null,
      askedAtMs: 0,
      roundTripMs,
      countedTokens: 0,
    };
    return this.#known;
  }

  async #ask(
    link: Link,
    server: KnownServer,
    context: KvContext,
    canary: boolean,
    signal: AbortSignal,
  ): Promise<Completed> {
    const request = completionRequest(server.identity.description.model.id, context, canary);
    return this.#complete(link, server, context, request, signal);
  }

  /**
   * What a request showed, less what rests on the word of a server that can't be believed. The first claim of reuse of each thaw, the
   * first after an hour or after counters went back, and each that no counter confirms, has the server asked at once for what it can't have.
   */
  async #weighWord(
    link: Link,
    server: KnownServer,
    { reuse, before, after }: Completed,
    signal: AbortSignal,
  ): Promise<ReuseEvidence> {
    this.#endBelief(server, before, after);
    const isOurs = server.identity.description.kind === 'embedded';
    const isClaim = reuse.cachedTokensFrom === 'usage' && reuse.cachedTokens !== 0;
    const isCounted = reuse.serverIdle === true && (after?.cachedBySource ?? null) !== null;
    // To say 0, and to count so, is what the test is for.
    if (this.#isFar && isCounted && reuse.cachedTokensFrom === 'usage' && reuse.cachedTokens === 0)
      server.isBelieved ??= true;
    if (!isOurs && isClaim && (server.isBelieved === null || (server.isBelieved && !isCounted))) {
      const claims = await claimsWhatCannotBe(this.#probeParts(link, server, signal), signal);
      if (claims === null) return unseen(reuse);
      server.isBelieved = !claims;
      server.askedAtMs = this.#clock.elapsedMs();
    }
    return asBelieved(reuse, server);
  }

  /** A server that was honest once may be another one now, or may have begun to lie. */
  #endBelief(server: KnownServer, before: ServerMetrics | null, after: ServerMetrics | null): void {
    const counted = [before?.promptTokens, after?.promptTokens].filter((value) => typeof value === 'number');
    const hasGoneBack = [server.countedTokens, ...counted].some((value, index, all) => value < (all[index - 1] ?? 0));
    server.countedTokens = counted.at(-1) ?? server.countedTokens;
    const isOld = this.#clock.elapsedMs() - server.askedAtMs > beliefMs;
    if (server.isBelieved && (hasGoneBack || isOld)) server.isBelieved = null;
  }

  #probeParts(link: Link, { identity, blocks, dialect }: KnownServer, signal: AbortSignal): ProbeParts {
    const { kind, model } = identity.description;
    return {
      link,
      identity,
      blocks,
      timer: this.#timer,
      elapsedMs: () => this.#clock.elapsedMs(),
      complete: (context, canary) =>
        this.#complete(
          link,
          { identity, dialect },
          context,
          probeRequest(model.id, context, canary, kind === 'vllm'),
          signal,
        ),
    };
  }

  async #complete(
    link: Link,
    { identity, dialect }: Pick<KnownServer, 'identity' | 'dialect'>,
    context: KvContext,
    request: LinkRequest,
    signal: AbortSignal,
  ): Promise<Completed> {
    assertFits(context.ids.length, identity.description.model.maxModelLen, link.label);
    const before = await this.#readBefore(link, signal);
    const startedMs = this.#clock.elapsedMs();
    const send = (fitting: LinkRequest) => link.json(fitting, completionSchema, signal);
    const { value, triedBefore } = await dialect.ask(request, send);
    const timeToFirstTokenMs = this.#clock.elapsedMs() - startedMs;
    checkEcho(value, context.ids, link.label);
    const after = before && (await this.#readMoved(link, before, signal));
    if (after) this.#latest = { metrics: after, atMs: this.#clock.elapsedMs() };
    const reuse = weigh({
      sentTokens: context.ids.length,
      usage: value.usage ?? null,
      triedBefore,
      timeToFirstTokenMs,
      serverTimeToFirstTokenMs: value.metrics?.time_to_first_token_ms ?? null,
      before,
      after,
    });
    return { completion: value, reuse, before, after };
  }

  /** The counters before a request: those after the last one, where nothing was waited for in between, since each reading takes a round. */
  async #readBefore(link: Link, signal: AbortSignal): Promise<ServerMetrics | null> {
    const latest = this.#latest;
    this.#latest = null;
    const isFresh = this.#isFar && latest !== null && this.#clock.elapsedMs() - latest.atMs <= freshMs;
    return isFresh ? latest.metrics : readMetrics(link, signal);
  }

  /** The counters after a request; read again for a moment while they do not show it. */
  async #readMoved(link: Link, before: ServerMetrics, signal: AbortSignal): Promise<ServerMetrics | null> {
    for (const pauseMs of counterPausesMs) {
      const after = await readMetrics(link, signal);
      if (!after || after.promptTokens !== before.promptTokens || after.promptTokens === null) return after;
      await this.#sleep(pauseMs, signal);
    }
    return readMetrics(link, signal);
  }
}

const noIdsTaken =
  'This server computes nothing over token ids, so what it reuses cannot be observed. The text is safe.';

/** Whether a server that is no vLLM lacks what a measurement takes, which costs the measurement and nothing else. */
const isLacking = ({ speaksVllm }: ServerIdentity, error: unknown): error is CwmError =>
  !speaksVllm && isCwmError(error, 'EngineRejected', 'EngineFailed', 'NotAnEngine');

const otherTokens = ({ promptTokens }: ReuseEvidence, { ids }: KvContext): string =>
  `The server counted ${promptTokens} tokens of the ${ids.length} that it was sent, so what it reuses of them was not observed.`;

const nothingSeen = ({ ids }: KvContext): ReuseEvidence => ({
  promptTokens: ids.length,
  cachedTokens: null,
  cachedTokensFrom: 'none',
  tier: null,
  timeToFirstTokenMs: null,
  serverIdle: null,
  counters: {},
});

const unseen = (reuse: ReuseEvidence): ReuseEvidence => ({ ...reuse, cachedTokens: null, cachedTokensFrom: 'none' });

const asBelieved = (reuse: ReuseEvidence, { isBelieved }: KnownServer): ReuseEvidence =>
  isBelieved === false ? unseen(reuse) : reuse;

/** LMCache knows a model by what the server was started with. */
const named = ({ description: { model } }: ServerIdentity, { ids, salt }: Pick<KvContext, 'ids' | 'salt'>) => ({
  ids,
  salt,
  model: model.root ?? model.id,
});

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
