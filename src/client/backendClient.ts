import type { IncomingMessage } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { randomId } from '../base/hash.ts';
import type { Disposable } from '../base/disposable.ts';
import { Emitter } from '../base/emitter.ts';
import { coreRoutes, routes, type RouteInput, type RouteName, type RouteOutput } from '../protocol/api.ts';
import type { ProjectUri } from '../protocol/ids.ts';
import { eventStreamType, operationHeader } from '../protocol/operationEvents.ts';
import { unlessAborted } from '../base/unlessAborted.ts';
import type { Signal } from '../protocol/signals.ts';
import { parseEngineKey } from '../protocol/schemas/engineKey.ts';
import {
  apiHeader,
  clientHeader,
  engineKeyForHeader,
  engineHeader,
  engineKeyHeader,
  type BackendRecord,
} from '../protocol/backendRecord.ts';
import { CwmError, isCwmError, toCwmError } from '../protocol/errors.ts';
import { apiVersions, type ApiVersions } from '../protocol/version.ts';
import { fromAnswer, toRequest } from './routeRequest.ts';
import { readOperation, type OperationListener } from './operationStream.ts';
import { SignalReader } from './signalReader.ts';
import { openResponse, requestBackend, TransportError, type BackendAnswer, type BackendRequest } from './transport.ts';

const minuteMs = 60_000;
/**
 * Prefill of a long context takes minutes, and the backend has time-outs of its own; this limit only ends a call that would hang for
 * ever.
 */
const operationTimeoutMs = 60 * minuteMs;
const readTimeoutMs = 5 * minuteMs;
/** How long a call waits while one backend makes room for the next: the operations that still run may take minutes. */
const successorMs = 10 * minuteMs;
const successorPollMs = 250;

/** Where a client gets its backend from, and who it is. */
export interface BackendSource {
  /** Kind of program, like `cli` or `vscode`; default `client`. It stands in the backend's audit log. */
  readonly kind?: string;
  /** Default: that of this program. */
  readonly api?: ApiVersions;
  /** Finds or starts one. */
  start(signal: AbortSignal): Promise<BackendRecord>;
  /** Finds a running one. */
  find(signal: AbortSignal): Promise<BackendRecord | null>;
  /** API key of the model server that the call is for; `engine` is what the call names, if it names one. */
  engineKey?(engine: string | undefined): Promise<string | undefined>;
  /** The server that the key is for. Default: the one that the call names, else that of new sessions. */
  readonly engineKeyFor?: string | undefined;
  /**
   * Absolute path of the folder that the client works in, which each backend is told before the client's first change there. Default: the client
   * says it itself.
   */
  readonly workingDirectory?: string | undefined;
}

/** How a call is made. */
export interface CallOptions extends OperationListener {
  /** Aborting it aborts the operation. */
  readonly signal?: AbortSignal | undefined;
}

/** Who sends a request to the gateway, and what it is about. */
export interface GatewayAsked {
  readonly name: string;
  /** The model server that is asked, whose API key goes along. */
  readonly engine: string;
  /** The project of a request whose prompt names none; null: it is of none. */
  readonly folder: ProjectUri | null;
  readonly signal: AbortSignal;
}

interface RequestOptions {
  readonly reads: boolean;
  readonly signal: AbortSignal | undefined;
  /** Null: only the result is wanted. */
  readonly listener: OperationListener | null;
}

/**
 * The backend as its clients see it. It may be killed at any time: the next call starts another one, and the signals continue with
 * those that were missed, or with one `resync`. A call that meets a retiring backend waits for its successor. Signals alone start no
 * backend, so that a stopped one stays stopped.
 */
export class BackendClient implements Disposable {
  readonly #source: BackendSource;
  readonly #disposed = new AbortController();
  readonly #signals = new Emitter<Signal>();
  readonly #closed = new Emitter<void>();
  #place: RouteInput<'setWorkingDirectory'> | undefined;
  /** The backend that knows it. */
  #toldPlace: BackendRecord | undefined;
  #known: BackendRecord | undefined;
  #connecting: Promise<BackendRecord> | undefined;
  #reader: SignalReader | undefined;

  constructor(source: BackendSource) {
    this.#source = source;
    this.#place = source.workingDirectory === undefined ? undefined : { directory: source.workingDirectory };
  }

  /** Among all clients of the user. */
  get #name(): string {
    return `${this.#source.kind ?? 'client'}.${process.pid}`;
  }

  /** Makes sure that a backend is there. @throws CwmError BackendUnavailable, Cancelled. */
  async connect(signal?: AbortSignal): Promise<BackendRecord> {
    signal?.throwIfAborted();
    this.#disposed.signal.throwIfAborted();
    if (this.#known) return this.#known;
    this.#connecting ??= this.#connect();
    try {
      return await unlessAborted(this.#connecting, signal);
    } catch (error) {
      throw toCwmError(error);
    }
  }

  /**
   * Calls the route. When the connection breaks, a reading call is made once more, a changing one only when the backend cannot have
   * seen it.
   *
   * A change that succeeded returns after its signals were delivered, where this client listens to signals: a listener that pulls what
   * they name then shows the change. The wait is at most one second.
   *
   * @throws CwmError what the backend answered; BackendUnavailable when it is gone (`context.unknown` is true when the change may have
   *   been made); Cancelled when `signal` was aborted: the backend then rolls unfinished work back.
   */
  async call<Name extends RouteName>(
    name: Name,
    input: RouteInput<Name>,
    { signal, ...listener }: CallOptions = {},
  ): Promise<RouteOutput<Name>> {
    const request = await this.#withEngineKey(toRequest(name, input), input);
    const streams = routes[name].streams && Object.keys(listener).length > 0;
    const reads = routes[name].kind === 'read';
    const deadlineMs = performance.now() + successorMs;
    let failures = 0;
    for (;;) {
      const record = await this.connect(signal);
      try {
        if (!reads && name in coreRoutes && !choosesPlace.has(name)) await this.#tellPlace(record, signal);
        const answer = await this.#request(record, request, { reads, signal, listener: streams ? listener : null });
        const output = fromAnswer(name, answer);
        if (name === 'setWorkingDirectory') {
          this.#place = input as RouteInput<'setWorkingDirectory'>;
          this.#toldPlace = record;
        }
        if (answer.signals !== null) await this.#reader?.caughtUp(answer.signals);
        return output;
      } catch (error) {
        const isReplaced = isForAnother(error) && performance.now() < deadlineMs;
        if ((isReplaced || error instanceof TransportError) && this.#known === record) this.#known = undefined;
        if (isReplaced) {
          // An abort ends the wait; `connect` reports it.
          await delay(successorPollMs, undefined, { signal: this.#untilDisposed(signal) }).catch(() => undefined);
          continue;
        }
        if (!(error instanceof TransportError)) throw error;
        if (++failures > 1 || (error.sent && !reads)) throw lost(name, error);
      }
    }
  }

  /**
   * Sends JSON to one of the gateway's routes; its answer is still to be read, whatever its status. Aborting `signal` ends both.
   *
   * @throws CwmError BackendUnavailable, Cancelled.
   */
  async gateway(path: string, body: string, { name, engine, folder, signal }: GatewayAsked): Promise<IncomingMessage> {
    const headers = {
      'x-cwm-client-name': name,
      ...(folder !== null && { 'x-cwm-folder': folder }),
      [engineHeader]: encodeURIComponent(engine),
      ...(await this.#engineKeyHeaders(engine)),
    };
    const until = this.#untilDisposed(signal);
    for (let failures = 0; ; failures++) {
      const record = await this.connect(until);
      try {
        return await openResponse(record, { method: 'POST', path, body, headers }, until);
      } catch (error) {
        if (until.aborted) throw toCwmError(until.reason);
        if (!(error instanceof TransportError)) throw error;
        if (this.#known === record) this.#known = undefined;
        if (error.sent || failures > 0) {
          throw new CwmError('BackendUnavailable', `The backend cannot be reached (${error.message}).`, {
            cause: error,
          });
        }
      }
    }
  }

  /** The first listener opens the stream; removing the last one closes it. */
  onSignal(listener: (signal: Signal) => void): Disposable {
    const subscription = this.#signals.subscribe(listener);
    this.#reader ??= new SignalReader(
      this.#name,
      (signal) => this.#source.find(signal),
      (signal) => this.#signals.emit(signal),
      () => this.#closed.emit(),
    );
    return {
      dispose: () => {
        subscription.dispose();
        if (this.#signals.listenerCount > 0) return;
        this.#reader?.dispose();
        this.#reader = undefined;
      },
    };
  }

  /** Each time that the stream of signals is lost. The client reconnects as soon as a backend is there. */
  onClosed(listener: () => void): Disposable {
    return this.#closed.subscribe(listener);
  }

  /** Ends the stream and every call in flight. The backend lives on. */
  dispose(): void {
    this.#disposed.abort(new CwmError('Cancelled', 'The connection to the backend was closed.'));
    this.#reader?.dispose();
    this.#signals.dispose();
    this.#closed.dispose();
  }

  /**
   * A backend has it in memory only. Where the folder has a bad configuration, nothing is changed: nobody knows what the project forbids.
   *
   * @throws CwmError InvalidParameter (a bad configuration), OperationTimeout; TransportError.
   */
  async #tellPlace(record: BackendRecord, signal: AbortSignal | undefined): Promise<void> {
    if (!this.#place || this.#toldPlace === record) return;
    try {
      const request = toRequest('setWorkingDirectory', this.#place);
      fromAnswer('setWorkingDirectory', await this.#request(record, request, { reads: true, signal, listener: null }));
    } catch (error) {
      // Its folder is gone. It belongs to no project then.
      if (!isCwmError(error, 'InvalidDirectory')) throw error instanceof TransportError ? unsent(error) : error;
    }
    this.#toldPlace = record;
  }

  async #connect(): Promise<BackendRecord> {
    try {
      this.#known = await this.#source.start(this.#disposed.signal);
      this.#reader?.retryNow();
      return this.#known;
    } finally {
      this.#connecting = undefined;
    }
  }

  async #request(
    record: BackendRecord,
    request: BackendRequest,
    { reads, signal, listener }: RequestOptions,
  ): Promise<BackendAnswer> {
    const api = String((this.#source.api ?? apiVersions).current);
    const streaming = listener && { accept: eventStreamType, [operationHeader]: randomId() };
    const own = { [clientHeader]: this.#name, [apiHeader]: api, ...streaming };
    const named = { ...request, headers: { ...own, ...request.headers } };
    const limits = { timeoutMs: reads ? readTimeoutMs : operationTimeoutMs, signal: this.#untilDisposed(signal) };
    if (!listener) return await requestBackend(record, named, limits);
    return await requestBackend(record, named, limits, (response) => readOperation(response, listener));
  }

  #untilDisposed(signal: AbortSignal | undefined): AbortSignal {
    const { signal: disposed } = this.#disposed;
    return signal ? AbortSignal.any([signal, disposed]) : disposed;
  }

  async #withEngineKey(request: BackendRequest, input: object): Promise<BackendRequest> {
    const engine = 'engine' in input && typeof input.engine === 'string' ? input.engine : undefined;
    return { ...request, headers: await this.#engineKeyHeaders(engine) };
  }

  async #engineKeyHeaders(engine: string | undefined): Promise<Record<string, string>> {
    const key = parseEngineKey(await this.#source.engineKey?.(engine));
    if (!key) return {};
    const server = this.#source.engineKeyFor ?? engine;
    const headers = { [engineKeyHeader]: key };
    const isServer = server !== undefined && URL.canParse(server);
    return isServer ? { ...headers, [engineKeyForHeader]: new URL(server).origin } : headers;
  }
}

/** What chooses a project by itself. */
const choosesPlace: ReadonlySet<RouteName> = new Set(['setWorkingDirectory', 'openProject', 'closeProject']);

/** Nothing of the change itself was sent. */
const unsent = (error: TransportError): TransportError => new TransportError(false, error.cause);

/** The backend began nothing: it is retiring, or is not the one that this client found. */
const isForAnother = (error: unknown): boolean =>
  isCwmError(error, 'BackendUnavailable') && error.context?.['reconnect'] === true;

function lost(name: RouteName, error: TransportError): CwmError {
  return error.sent
    ? new CwmError('BackendUnavailable', `The backend ended while it worked on "${name}".`, {
        hint: 'Check whether the change was made before you retry. Unfinished work was rolled back.',
        context: { unknown: true },
        cause: error,
      })
    : new CwmError('BackendUnavailable', `The backend cannot be reached (${error.message}).`, { cause: error });
}
