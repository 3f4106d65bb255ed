import { join } from 'node:path';
import type { Embedder } from '../../core/ports/search.ts';
import type { Engine, EngineDescription, Generation } from '../../core/ports/engine.ts';
import type { EngineRegistry } from '../../core/ports/engineRegistry.ts';
import type { EngineAddress } from '../../engines/http/address.ts';
import { EmbeddingServer } from '../../engines/embeddings/embeddingServer.ts';
import { LinkFactory } from '../../engines/http/linkFactory.ts';
import { VllmEngine } from '../../engines/vllm/vllmEngine.ts';
import { defaultTimeouts, systemSleep, systemTimer, type Sleep } from '../../engines/http/timing.ts';
import { systemClock } from '../../base/clock.ts';
import type { EngineStatus } from '../../protocol/schemas/health.ts';
import type { Change } from '../../protocol/signals.ts';
import { CwmError, toCwmError } from '../../protocol/errors.ts';
import type { Log } from '../process/logFile.ts';
import { engineAdapters } from './adapters.ts';
import { EmbeddedServer } from './embeddedServer.ts';
import { loggedEmbedder, noEmbeddings, requireEmbeddingsServer } from './embeddingsServer.ts';
import { engineKeyFor, inThisRequest } from '../requestScope.ts';
import { parseEngineSpec, splitModel } from '../../protocol/engineSpec.ts';
import { engineSpecRules } from './adapters.ts';
import { findPlaces } from './findPlaces.ts';
import { systemProcesses, type ProcessView } from './listeningProcess.ts';
import { requireTls } from './requireTls.ts';
import { UrlEngine } from './urlEngine.ts';
import { watchedEngine } from './watchedEngine.ts';

export interface BackendEnginesOptions {
  readonly storage: string;
  readonly defaultSpec: string;
  /** Program of the embedded engine, and its arguments besides model and KV directory. */
  readonly embedded: {
    readonly entry: string;
    readonly args: readonly string[];
    /** What it encrypts KV with; null, the default, for KV in clear. */
    readonly kvKey?: Uint8Array | null;
  };
  /** Spec of the server that embeds texts for every session, or `off`. Default: each session's own, where it serves embeddings. */
  readonly embeddings?: string | null;
  /** Whether plain http to another machine is refused (S0-60). Default: yes. */
  readonly requiresTls?: boolean;
  /** Where the folders of servers on this machine are looked for. Default: its processes. */
  readonly processes?: ProcessView;
  /** How an engine waits before it asks its server again. Default: by the clock. */
  readonly sleep?: Sleep;
  readonly log: Log;
  readonly emit: (change: Change) => void;
  /** Receives each answer of an engine, with the engine's kind; null: not known. Default: nobody does. */
  readonly onGenerated?: (kind: string | null, generation: Generation) => void;
}

const refreshTimeoutMs = 5000;

interface Registered {
  readonly engine: Engine;
  readonly server: EmbeddedServer | null;
  /** Its status when it was last asked. */
  status: EngineStatus;
}

/** Every engine that somebody has asked for since the backend started. A URL is only ever connected to; `embedded` is started. */
export class BackendEngines implements EngineRegistry {
  readonly #options: BackendEnginesOptions;
  readonly #registered = new Map<string, Registered>();
  readonly #embedders = new Map<string, { readonly embedder: Embedder; readonly links: LinkFactory }>();
  #chosenSpec: string | null = null;

  /** @throws CwmError InvalidConfig where {@link BackendEnginesOptions.embeddings} is no server. */
  constructor(options: BackendEnginesOptions) {
    requireEmbeddingsServer(options.embeddings ?? null);
    this.#options = options;
  }

  get defaultSpec(): string {
    return this.#chosenSpec ?? this.#options.defaultSpec;
  }

  /** Makes it the default. @throws CwmError InvalidParameter when it is no spec. */
  choose(spec: string): void {
    parseEngineSpec(spec, engineSpecRules);
    this.#chosenSpec = spec;
  }

  /** The last known status, without asking again. */
  get lastStatuses(): EngineStatus[] {
    return Array.from(this.#registered.values(), ({ status, server }) => withProcess(status, server));
  }

  get(spec: string): Engine {
    return this.#register(spec).engine;
  }

  embedder(spec: string): Embedder | null {
    const { embeddings = null, log } = this.#options;
    if (embeddings === noEmbeddings) return null;
    const parts = splitModel(embeddings ?? spec);
    // The embedded engine serves none.
    if (!parts) return null;
    const key = embeddings ?? parts.server;
    const known = this.#embedders.get(key);
    if (known) return known.embedder;
    const parsed = parseEngineSpec(embeddings ?? spec, engineSpecRules);
    if (parsed.kind !== 'url') return null;
    const links = new LinkFactory({
      connect: async () => this.#addressOf(parsed.url, {}),
      apiKey: undefined,
      timeouts: defaultTimeouts,
      timer: systemTimer,
      sleep: this.#options.sleep ?? systemSleep,
      random: Math.random,
      onConnectionFailure: () => undefined,
    });
    const model = embeddings === null ? undefined : (parts.model ?? undefined);
    const server = new EmbeddingServer({
      server: key,
      links,
      clock: systemClock,
      model,
      isOfChats: embeddings === null,
    });
    // Of a session's own server, nobody said that it serves any.
    const embedder = embeddings === null ? server : loggedEmbedder(server, embeddings, log);
    this.#embedders.set(key, { embedder, links });
    return embedder;
  }

  inThisRequest<Work extends (signal: AbortSignal) => Promise<void>>(work: Work): Work {
    return inThisRequest(work);
  }

  async status(spec: string, signal: AbortSignal): Promise<EngineStatus> {
    let registered: Registered;
    try {
      registered = this.#register(spec);
    } catch (error) {
      return unreachable(spec, error);
    }
    // Its status has the failure by then.
    await registered.engine.describe(signal).catch(() => signal.throwIfAborted());
    return withProcess(registered.status, registered.server);
  }

  /** Where the engine's server listens, for requests that are passed on to it. The embedded one is started. */
  async address(spec: string, signal: AbortSignal): Promise<EngineAddress> {
    const { server } = this.#register(spec);
    if (server) return server.connect(signal);
    const parsed = parseEngineSpec(spec, engineSpecRules);
    if (parsed.kind !== 'url') throw new CwmError('InvalidParameter', `${spec} is no URL.`);
    return this.#addressOf(parsed.url, parsed.places);
  }

  /** Asks every engine how it is, starting none. One that says nothing within five seconds counts as not reachable. */
  async refresh(): Promise<void> {
    await Promise.all(Array.from(this.#registered.values(), (registered) => this.#refresh(registered)));
  }

  /** Ends every engine that this backend started, and the connections to the others. */
  async close(): Promise<void> {
    const all = [...this.#registered.values()];
    await Promise.all([
      ...all.map(({ engine }) => engine.close()),
      ...[...this.#embedders.values()].map(({ links }) => links.close()),
    ]);
    await Promise.all(all.map(async ({ server }) => server?.close()));
  }

  async #refresh(registered: Registered): Promise<void> {
    const { engine, server } = registered;
    if (server && server.current === null) return;
    const timeout = AbortSignal.timeout(refreshTimeoutMs);
    try {
      await engine.describe(timeout);
    } catch {
      // Its status has any other failure by now.
      if (!timeout.aborted) return;
      const message = `${engine.spec} did not answer within ${refreshTimeoutMs / 1000} s.`;
      this.#note(registered, unreachable(engine.spec, new CwmError('EngineTimeout', message)));
    }
  }

  #register(spec: string): Registered {
    const known = this.#registered.get(spec);
    if (known) return known;
    const { engine, server } = this.#make(spec);
    const watched = watchedEngine(engine, {
      seen: (description) => this.#note(registered, reachable(spec, description)),
      failed: (error) => this.#note(registered, unreachable(spec, error)),
      generated: (generation) => this.#options.onGenerated?.(registered.status.kind, generation),
    });
    const registered: Registered = { engine: watched, server, status: unreachable(spec, null) };
    this.#registered.set(spec, registered);
    return registered;
  }

  #make(spec: string): { readonly engine: Engine; readonly server: EmbeddedServer | null } {
    const parsed = parseEngineSpec(spec, engineSpecRules);
    if (parsed.kind === 'url') {
      const { url, places } = parsed;
      const connect = async (): Promise<EngineAddress> => this.#addressOf(url, places);
      return { engine: urlEngine(spec, url, places, connect, this.#options), server: null };
    }
    const server = this.#embeddedServer(spec, parsed.modelFile);
    return { engine: embeddedEngine(spec, server, this.#options.sleep), server };
  }

  /** @throws CwmError TlsRequired for plain http to another machine. */
  #addressOf(url: string, places: Readonly<Record<string, string>>): EngineAddress {
    const { requiresTls = true, defaultSpec: own } = this.#options;
    for (const dialled of [url, places['lmcache'] ?? url]) if (requiresTls) requireTls(dialled);
    const token = engineKeyFor(url, { now: this.defaultSpec, own });
    return token === undefined ? { url } : { url, token };
  }

  #note(registered: Registered, status: EngineStatus): void {
    const before = registered.status;
    registered.status = status;
    const isNews = before.reachable !== status.reachable || before.problem?.code !== status.problem?.code;
    if (isNews) this.#options.emit({ type: 'engine', spec: status.spec });
  }

  #embeddedServer(spec: string, modelFile: string | null): EmbeddedServer {
    const { storage, embedded, log, emit } = this.#options;
    return new EmbeddedServer({
      entry: embedded.entry,
      args: ['--kv-dir', join(storage, 'kv'), ...(modelFile === null ? [] : ['--model', modelFile]), ...embedded.args],
      kvKey: embedded.kvKey ?? null,
      log,
      onChange: () => emit({ type: 'engine', spec }),
    });
  }
}

const embeddedEngine = (spec: string, server: EmbeddedServer, sleep: Sleep | undefined): Engine =>
  new VllmEngine({
    spec,
    sleep,
    // It writes its files before an answer, or right behind it: a second request over the context leaves none behind.
    persistPatienceMs: 200,
    expect: (hashes) => server.expect(hashes),
    connect: async (signal, refusedAt) => {
      const { url, token } = await server.connect(signal, refusedAt);
      return { url, token, managed: true };
    },
  });

const urlEngine = (
  spec: string,
  url: string,
  places: Readonly<Record<string, string>>,
  connect: () => Promise<EngineAddress>,
  { processes = systemProcesses(), sleep }: BackendEnginesOptions,
): Engine =>
  new UrlEngine({
    spec,
    places,
    sleep,
    adapters: engineAdapters,
    find: (adapter) => findPlaces(url, adapter, processes),
    connect,
  });

function reachable(spec: string, description: EngineDescription): EngineStatus {
  const { kind, version, model, blockTokens, notices, models, takesPictures } = description;
  return {
    ...unreachable(spec, null),
    reachable: true,
    kind,
    version,
    model: model.id,
    maxModelLen: model.maxModelLen,
    blockTokens,
    notices: [...notices],
    ...(takesPictures !== undefined && { takesPictures }),
    ...(models && { models: [...models] }),
  };
}

/** @param error null when nobody has looked yet. */
function unreachable(spec: string, error: unknown): EngineStatus {
  const problem = error === null ? null : toCwmError(error).report();
  return {
    spec,
    reachable: false,
    kind: null,
    version: null,
    model: null,
    maxModelLen: null,
    blockTokens: null,
    pid: null,
    url: spec.startsWith('http') ? spec.replace(/#.*$/su, '') : null,
    problem: problem && { code: problem.code, message: problem.message, hint: problem.hint },
    notices: [],
  };
}

/** A child that has died since its last status is not reachable any more. */
function withProcess(status: EngineStatus, server: EmbeddedServer | null): EngineStatus {
  if (!server) return status;
  const { current } = server;
  return {
    ...status,
    reachable: status.reachable && current !== null,
    pid: current?.pid ?? null,
    url: current?.url ?? null,
  };
}
