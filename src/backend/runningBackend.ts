import { rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { randomSalt } from '../base/hash.ts';
import type { Change, NamedEvent } from '../protocol/signals.ts';
import { backendLogFile, lastEndFile, type BackendRecord, type LastEnd } from '../protocol/backendRecord.ts';
import { CwmError } from '../protocol/errors.ts';
import { backendSettings } from '../protocol/settings/backendSettings.ts';
import { apiVersions, productVersion, type ApiVersions } from '../protocol/version.ts';
import { systemClock, type Clock } from '../base/clock.ts';
import { currentCaller } from './api/currentCaller.ts';
import { createApp, type AppParts } from './api/app.ts';
import { ClientFolders } from './api/clientFolders.ts';
import { checkedDispatch } from './api/checkedDispatch.ts';
import { makeDispatch, type Dispatch } from './api/dispatch.ts';
import { loggedDispatch } from './api/loggedDispatch.ts';
import { meteredDispatch, type OperationMeter } from './api/meteredDispatch.ts';
import type { Refusal } from './audit/refusals.ts';
import { listenOnFirst, type ControlServer } from './process/controlServer.ts';
import type { ProcessHandlers } from './api/processHandlers.ts';
import type { Operations } from '../core/operations.ts';
import { IdleWatch } from './process/idleWatch.ts';
import type { LogFormat, LogLevel } from '../protocol/log.ts';
import { LogFile, type Log } from './process/logFile.ts';
import { networkFileSystem, networkWarning } from './health/networkFileSystem.ts';
import { OperationLimit } from './api/operationLimit.ts';
import { changeLimits, gatewayRequests, gatewayLimitsOf, RateLimiter } from './api/rateLimit.ts';
import { OwnPlace } from './process/ownPlace.ts';
import { makeOwnStorage } from './process/ownStorage.ts';
import { Retirement } from './process/retirement.ts';
import { NamedEvents, SignalBus } from './api/signalBus.ts';
import { socketDoor, type GatewayHandler } from './api/gatewayAdmission.ts';
import type { HttpWish } from './api/serveHttp.ts';
import { TcpListener } from './api/tcpListener.ts';
import { checkToken } from './api/admission.ts';
import { socketAddresses } from './process/socketAddress.ts';
import { storageError } from '../store/disk/storageError.ts';

export interface BackendOptions {
  /** Absolute. Made with mode 0700 when it is not there. */
  readonly storage: string;
  /** Ends by itself after this long without a client; 0 is never. */
  readonly idleMs: number;
  /** Time that running operations get before a stop aborts them. */
  readonly graceMs: number;
  /** Lines that are less urgent are not written to the log. Default: `info`. */
  readonly logLevel?: LogLevel;
  /** Default: `json`. */
  readonly logFormat?: LogFormat;
  /** Changes that each agent may ask for in a minute; 0 is no limit. Default: 60. */
  readonly ratePerMinute?: number;
  /** Requests of each client of the gateway that are recorded in a minute; 0 is no limit. Default: 600. */
  readonly gatewayRatePerMinute?: number;
  /** Operations that run at once; 0 is no limit. Default: 10. */
  readonly maxOperations?: number;
  /** By which the changes of a minute are counted. Default: the system's. */
  readonly clock?: Pick<Clock, 'elapsedMs'>;
  /** Versions of the control API that the backend answers; default: those of this program. */
  readonly api?: ApiVersions;
  /** Null, the default: the API answers on its socket only. */
  readonly http?: HttpWish | null;
  /** Where the gateway listens once it is opened, whatever its clients were told before. Null: where they look, else at the default port. */
  readonly gatewayPort?: number | null;
}

/** What the composition root makes once this process holds the storage directory. */
export interface Services {
  readonly operations: Operations;
  /** Why the store refuses changes; null or left out when it takes them. */
  readonly readOnlyWhy?: CwmError | null;
  readonly process: Omit<ProcessHandlers, 'shutdown' | 'retire' | 'live' | 'ready' | 'openGateway'>;
  /** Receives every request that was refused or failed. */
  readonly onRefused?: (refusal: Refusal) => void;
  readonly meter?: OperationMeter;
  /** Default: the backend is no gateway. */
  readonly gateway?: GatewayHandler;
  /** Ends engines and closes the store. @returns the sessions whose KV was not saved in time; null, or nothing: none. */
  close(): Promise<Omit<LastEnd, 'pid'> | null | void>;
}

/** How much runs at this moment. */
export interface Queues {
  readonly operations: number;
  readonly operationLimit: number;
  /** Clients that listen to signals. */
  readonly clients: number;
}

export interface Clients {
  /** Who runs the current operation. */
  readonly caller: typeof currentCaller;
  /** Whether a client listens to signals now. */
  readonly isLive: (client: string) => boolean;
}

/** @param readOnlyWhy why nothing may be written to the storage directory; null when it may. */
export type Compose = (
  storage: string,
  emit: (change: Change) => void,
  log: Log,
  readOnlyWhy: CwmError | null,
  queues: () => Queues,
  clients: Clients,
  tell: (event: NamedEvent) => void,
) => Promise<Services>;

export interface RunningBackend {
  readonly record: BackendRecord;
  /** Resolves when it has stopped and released the storage directory. */
  readonly stopped: Promise<void>;
  /**
   * Stops once, however often it is called. Running operations get the grace time and are then aborted, which leaves nothing half done.
   */
  stop(reason: string): Promise<void>;
}

/** How long an aborted operation, and the end of an engine, may take before the process ends all the same. */
const abortedMs = 10_000;

/**
 * Takes the storage directory, opens the services and listens. The record is written last: a client that finds it can connect.
 *
 * @returns null when another process has the storage directory.
 * @throws what `compose` throws, WriteFailed when the directory cannot be written, and BackendUnavailable when there is no place to listen; the
 *   directory is free again then.
 */
export async function startBackend(options: BackendOptions, compose: Compose): Promise<RunningBackend | null> {
  const backend = new StartedBackend(options);
  try {
    makeOwnStorage(options.storage);
    if (!backend.takeLock()) return null;
  } catch (error) {
    throw storageError(error, 'write', options.storage);
  }
  try {
    await backend.start(compose);
    return backend;
  } catch (error) {
    await backend.stop('it could not start');
    throw error;
  }
}

class StartedBackend implements RunningBackend {
  readonly #options: BackendOptions;
  readonly #undo: { readonly step: string; readonly run: () => Promise<void> | void }[] = [];
  readonly #streamsEnded = new AbortController();
  readonly #operationsEnded = new AbortController();
  readonly #stopped = Promise.withResolvers<void>();
  readonly #limit: OperationLimit;
  readonly #place: OwnPlace;
  readonly #retirement: Retirement;
  #stopping = false;
  #record: BackendRecord | undefined;
  #log: Log = silentLog;

  constructor(options: BackendOptions) {
    this.#options = options;
    this.#limit = new OperationLimit(options.maxOperations);
    this.#place = new OwnPlace(options.storage);
    this.#retirement = new Retirement(
      this.#limit,
      (running) => this.#log.write('info', 'retiring', { running }),
      () => this.#stopSoon('a newer backend takes its place'),
    );
  }

  get record(): BackendRecord {
    if (!this.#record) throw new Error('The backend has not been announced.');
    return this.#record;
  }

  get stopped(): Promise<void> {
    return this.#stopped.promise;
  }

  takeLock(): boolean {
    const taken = this.#place.takeLock(() => void this.stop('another process took the storage directory'));
    if (taken.held) this.#later('release the lock', () => taken.lock.dispose());
    return taken.held;
  }

  async start(compose: Compose): Promise<void> {
    const { storage } = this.#options;
    const log = new LogFile(join(this.#place.directory, backendLogFile), {
      level: this.#options.logLevel,
      format: this.#options.logFormat,
    });
    this.#later('close the log', () => log.close());
    this.#log = log;
    const network = await networkFileSystem(storage);
    if (network !== null)
      log.write('warning', 'the storage directory is on a network', { why: networkWarning(network) });

    const first = Date.now() * 1000;
    const bus = new SignalBus(first);
    const events = new NamedEvents(first);
    const emit = (change: Change): void => {
      bus.publish(change);
      events.changed(change);
    };
    const queues = (): Queues => ({
      operations: this.#limit.running,
      operationLimit: this.#limit.max,
      clients: bus.readers + events.bus.readers,
    });
    let folders: ClientFolders | null = null;
    const services = await compose(
      storage,
      emit,
      log,
      this.#place.readOnlyWhy,
      queues,
      { caller: currentCaller, isLive: (client) => folders?.isListening(client) ?? false },
      (event) => events.tell(event),
    );
    const lastEnd = join(this.#place.directory, lastEndFile);
    this.#later('close the services', async () => {
      const lost = await services.close();
      if (lost) await writeFile(lastEnd, JSON.stringify({ pid: process.pid, ...lost }), { mode: 0o600 });
    });
    // It is of another process, which its number says: what cannot be deleted keeps no backend from its start.
    await rm(lastEnd, { force: true }).catch((error: unknown) =>
      log.failure('what the last end came to cannot be deleted', error),
    );

    const tcp = new TcpListener(this.#options, services.gateway);
    const idle = new IdleWatch(
      this.#options.idleMs,
      () => void this.stop('nobody used it'),
      // Clients of the gateway start no backend. Where another program has their port, it is tried again from time to time.
      () => (services.gateway?.clientsAddress ?? null) !== null,
    );
    const token = randomSalt();
    let address = '';
    const { api = apiVersions } = this.#options;
    const { readOnlyWhy = null } = services;
    const { rateLimit, gatewayRateLimit } = backendSettings;
    const {
      ratePerMinute = rateLimit.default,
      gatewayRatePerMinute = gatewayRateLimit.default,
      clock = systemClock,
    } = this.#options;
    const gatewayRates = new RateLimiter(() => gatewayLimitsOf(gatewayRatePerMinute), clock, gatewayRequests);
    services.gateway?.limitBy?.((client) => gatewayRates.whyRefused(client));
    const dispatch = makeDispatch({
      operations: services.operations,
      process: {
        ...services.process,
        live: async () => ({ alive: true }),
        ready: async () => this.#ready(services.operations),
        shutdown: async () => {
          this.#stopSoon();
          return { pid: process.pid };
        },
        retire: async () => this.#retirement.begin(),
        openGateway: async () => ({ url: await tcp.open() }),
      },
      limit: this.#limit,
      rates: new RateLimiter(changeLimits(ratePerMinute), clock),
      readOnlyWhy: readOnlyWhy && (() => this.#retirement.refusal(readOnlyWhy)),
      noMoreWhy: () => this.#retirement.noMoreWhy,
    });
    const { meter } = services;
    const metered = (inner: Dispatch): Dispatch => (meter ? meteredDispatch(inner, meter, systemClock) : inner);
    const logged = loggedDispatch(metered(checkedDispatch(dispatch)), log, systemClock);
    const opened = (folders = new ClientFolders((client, project) =>
      logged({ route: 'closeProject', input: { project }, client }, this.#operationsEnded.signal),
    ));
    const parts: AppParts = {
      dispatch: opened.noting(logged),
      bus,
      events,
      idle,
      folders: opened,
      log,
      onRefused: (refusal) => services.onRefused?.(refusal),
      streamsEnded: this.#streamsEnded.signal,
      operationsEnded: this.#operationsEnded.signal,
      api,
    };
    const app = createApp({
      ...parts,
      admit: (headers) => checkToken(headers.get('authorization'), token),
      identity: { token, address: () => address },
    });
    const { gateway } = services;
    const door = gateway && socketDoor(gateway, parts, token);
    const server = await listenOnFirst(app, socketAddresses(storage, this.#place.readOnlyWhy === null), door);
    address = server.address;
    this.#later('close the server', () => this.#closeServer(server));

    this.#later('close the TCP server', () => tcp.close((server) => this.#closeServer(server)));
    await tcp.start(parts, (error) => log.failure('the gateway cannot listen where its clients look for it', error));

    const record: BackendRecord = {
      pid: process.pid,
      version: productVersion,
      api,
      address: server.address,
      startedAt: new Date().toISOString(),
      host: hostname(),
      token,
      ...(tcp.url !== null && { http: tcp.url }),
    };
    this.#later('withdraw the record', () => this.#place.withdraw(record));
    await this.#place.announce(record);
    this.#record = record;
    this.#later('stop watching for idleness', () => idle.dispose());
    this.#later('stop watching for clients that go', () => opened.dispose());
    log.write('info', 'started', { pid: process.pid, version: productVersion, address: server.address });
  }

  async stop(reason: string): Promise<void> {
    if (this.#stopping) return this.stopped;
    this.#stopping = true;
    this.#log.write('info', 'stopping', { reason });
    for (const { step, run } of this.#undo.reverse()) {
      try {
        await withinTime(run(), abortedMs + this.#options.graceMs);
      } catch (error) {
        this.#log.failure(`could not ${step}`, error);
      }
    }
    this.#stopped.resolve();
  }

  /** @throws CwmError BackendUnavailable when it begins no new work, and what keeps the store from being read. */
  async #ready(operations: Operations): Promise<{ ready: boolean }> {
    const noMore = this.#retirement.noMoreWhy;
    if (noMore) throw noMore;
    try {
      await operations.listSessions({ limit: 1 });
    } catch (error) {
      throw new CwmError('BackendUnavailable', 'The store cannot be read.', { cause: error });
    }
    return { ready: true };
  }

  /** After the answer to the client that asked for it. */
  #stopSoon(reason = 'it was asked to'): Record<string, never> {
    setImmediate(() => void this.stop(reason));
    return {};
  }

  async #closeServer(server: Pick<ControlServer, 'close'>): Promise<void> {
    this.#streamsEnded.abort();
    const abort = setTimeout(() => this.#operationsEnded.abort(), this.#options.graceMs);
    await server.close(this.#options.graceMs + abortedMs / 2);
    await this.#limit.settled();
    clearTimeout(abort);
  }

  #later(step: string, run: () => Promise<void> | void): void {
    this.#undo.push({ step, run });
  }
}

const silentLog: Log = { write: () => undefined, failure: () => undefined };

async function withinTime(work: Promise<void> | void, timeoutMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`It took longer than ${timeoutMs} ms.`)), timeoutMs);
  });
  try {
    await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
