import type * as z from 'zod/mini';
import { request as send, type Agent, type Dispatcher } from 'undici';
import { CwmError, type ErrorName } from '../../protocol/errors.ts';
import { parseEndpoint, type Connect, type Endpoint, type EngineAddress } from './address.ts';
import type { Readable } from 'node:stream';
import { parseAnswer, readRefusal, readText } from './body.ts';
import { BodyText } from './bodyText.ts';
import { contentOf, contentTypeOf } from './contentOf.ts';
import { readEvents, type StreamEvent } from './events.ts';
import { classifyFailure, failureError } from './failure.ts';
import { RequestGuard } from './guard.ts';
import { orAborted } from './orAborted.ts';
import { maxTries, retryDelayMs } from '../../base/clock.ts';
import { statusError } from './status.ts';
import type { Sleep, Timeouts, Timer } from './timing.ts';

export interface LinkOptions {
  readonly connect: Connect;
  readonly apiKey: string | undefined;
  readonly timeouts: Timeouts;
  readonly timer: Timer;
  readonly sleep: Sleep;
  /** Spreads retries; in 0 … 1. */
  readonly random: () => number;
  /** Runs after every try that found no server, or lost it. */
  readonly onConnectionFailure: () => void;
}

export interface LinkRequest {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly path: string;
  readonly body?: unknown;
  /** Besides those of every request. */
  readonly headers?: Readonly<Record<string, string>>;
  /** `small` computes nothing, `brief` a few tokens: both must end within their time; `long` may spend minutes on its first token. */
  readonly patience: 'small' | 'brief' | 'long';
  /** What an answer of the wrong kind means: NotAnEngine while it is not known what answers, EngineFailed later. */
  readonly wrongAnswer: ErrorName;
  /** No retry: the caller wants the result of this very request. */
  readonly once?: boolean;
  /** The caller itself tries again what will soon be over: tries here would multiply with its own. A refused connection is tried again here. */
  readonly callerRetries?: boolean;
}

export interface Answered<T> {
  readonly value: T;
  /** An earlier try of this very request may have been worked on, so this one may have found its results. */
  readonly triedBefore: boolean;
}

/** A shorter string is no secret, and its removal would damage ordinary words of a message. */
const shortestSecret = 4;
/** To one server at a time. */
export const maxConnections = 10;
/** A server that wants to be asked later than that is not waited for, in milliseconds. */
const longestAskedMs = 10_000;
const drainMs = 1_000;
const drainBytes = 64 * 1024;

interface Reply {
  readonly body: Dispatcher.ResponseData['body'];
  /** The body without its compression. */
  readonly content: Readable;
  readonly type: string | null;
  readonly guard: RequestGuard;
  readonly triedBefore: boolean;
}

/**
 * The way to one model server for one operation. Retries only what is safe: nobody listened, or the server answered with
 * 5xx; a lost connection only where a second request is free, or where the server is ours and restarts. All throw
 * `CwmError` (see `Engine`).
 */
export class Link {
  readonly #agent: Agent;
  readonly #options: LinkOptions;
  #address: EngineAddress;
  #endpoint: Endpoint;

  constructor(agent: Agent, options: LinkOptions, address: EngineAddress) {
    this.#agent = agent;
    this.#options = options;
    this.#address = address;
    this.#endpoint = parseEndpoint(address.url);
  }

  /** How to name the server to people. */
  get label(): string {
    return this.#endpoint.label;
  }

  /**
   * A server's words without secrets: a proxy that quotes a refused key, or the whole request, would carry the key and the cache salt
   * into messages and logs.
   */
  withoutSecrets({ body }: LinkRequest, text: string): string {
    const salt = typeof body === 'object' && body !== null && 'cache_salt' in body ? body.cache_salt : undefined;
    const secrets = [this.#key, salt].filter(
      (secret) => typeof secret === 'string' && secret.length >= shortestSecret,
    ) as string[];
    return secrets.reduce((clean, secret) => clean.replaceAll(secret, '•••'), text);
  }

  /** Whether the server shares this machine's disks, as far as its address tells. */
  get isLocal(): boolean {
    return this.#address.managed === true || this.#endpoint.loopback;
  }

  async json<Schema extends z.ZodMiniType>(
    request: LinkRequest,
    schema: Schema,
    signal: AbortSignal,
  ): Promise<Answered<z.output<Schema>>> {
    const { text, triedBefore } = await this.#whole(request, 'application/json', signal);
    const what = `The answer of ${this.label} to ${request.path}`;
    try {
      return { value: parseAnswer(text, schema, request.wrongAnswer, what), triedBefore };
    } catch (error) {
      throw this.#withoutSecretsIn(error, request);
    }
  }

  async text(request: LinkRequest, signal: AbortSignal): Promise<string> {
    return (await this.#whole(request, 'text/plain', signal)).text;
  }

  /** Resolves when the server answers with success; the body does not matter. */
  async reaches(request: LinkRequest, signal: AbortSignal): Promise<void> {
    await this.#whole(request, '', signal);
  }

  /**
   * Each event of an answer, the end mark included where there is one. `progress` says how far the answer has come, which decides how
   * long the next piece may take: a prefill's time until its first token is there, little once it said why it ends.
   *
   * @throws CwmError StreamCut when the connection breaks.
   */
  async *events(
    request: LinkRequest,
    progress: () => 'waiting' | 'begun' | 'ended',
    signal: AbortSignal,
  ): AsyncGenerator<StreamEvent & { readonly triedBefore: boolean }> {
    const { timeouts } = this.#options;
    const reply = await this.#open(request, 'text/event-stream', signal);
    const patienceMs = { waiting: timeouts.firstByteMs, begun: timeouts.idleMs, ended: timeouts.smallMs };
    const onChunk = (): void => reply.guard.allow(patienceMs[progress()]);
    try {
      for await (const event of readEvents(reply.content, onChunk, this.label, new BodyText(reply.type))) {
        yield { ...event, triedBefore: reply.triedBefore };
      }
    } catch (error) {
      throw this.#withoutSecretsIn(this.#bodyError(error, reply.guard), request);
    } finally {
      reply.guard.dispose();
      if (reply.content === reply.body) this.#release(reply.body);
      else reply.body.destroy();
    }
  }

  /** Reads the few bytes after the end mark, so that the connection can be used again; a server that sends more loses its connection. */
  #release(body: Reply['body']): void {
    const cancel = this.#options.timer.schedule(drainMs, () => body.destroy());
    body
      .dump({ limit: drainBytes })
      .catch(() => body.destroy())
      .finally(cancel);
  }

  async #whole(
    request: LinkRequest,
    type: string,
    signal: AbortSignal,
  ): Promise<{ text: string; triedBefore: boolean }> {
    const reply = await this.#open(request, type, signal);
    const { body, content, guard, triedBefore } = reply;
    const onChunk = (): void => {
      if (request.patience === 'long') guard.allow(this.#options.timeouts.idleMs);
    };
    const tooLarge = (): CwmError =>
      new CwmError(request.wrongAnswer, `The answer of ${this.label} to ${request.path} is far too large.`);
    try {
      return { text: await readText(content, onChunk, tooLarge, new BodyText(reply.type)), triedBefore };
    } catch (error) {
      throw this.#bodyError(error, guard);
    } finally {
      guard.dispose();
      body.destroy();
    }
  }

  /** A message may quote the answer. */
  #withoutSecretsIn(error: unknown, request: LinkRequest): unknown {
    if (!(error instanceof CwmError)) return error;
    const { name, message, hint, context } = error;
    const clean = this.withoutSecrets(request, message);
    return clean === message ? error : new CwmError(name, clean, { hint, ...(context && { context }) });
  }

  #bodyError(error: unknown, guard: RequestGuard): CwmError {
    if (error instanceof CwmError) return error;
    return (
      guard.verdict(this.label, error) ??
      new CwmError('StreamCut', `The model server at ${this.label} broke off in the middle of its answer.`, {
        cause: error,
      })
    );
  }

  /** Tries until an answer begins. @param type what is asked for; an answer of another type is read as well. */
  async #open(request: LinkRequest, type: string, signal: AbortSignal): Promise<Reply> {
    let triedBefore = false;
    let tries = 1;
    let staleTries = 0;
    for (;;) {
      const outcome = await this.#try(request, type, signal);
      if (!(outcome instanceof Failed)) return { ...outcome, triedBefore };
      const isCallers = request.callerRetries && outcome.error.context?.['transient'] === true;
      // A server of ours that has died leaves connections that are lost one after another: that says nothing of the server that comes next.
      const isCounted = !outcome.mayBeStale || staleTries >= maxConnections;
      if (!outcome.retry || isCallers || request.once || (isCounted && tries >= maxTries)) throw outcome.error;
      triedBefore ||= outcome.mayHaveRun;
      if (!outcome.atOnce) await this.#pause(tries, outcome, signal);
      if (outcome.reconnect) await this.#reconnect(signal, outcome.isRefused);
      if (isCounted) tries++;
      else staleTries++;
    }
  }

  async #try(request: LinkRequest, type: string, signal: AbortSignal): Promise<Omit<Reply, 'triedBefore'> | Failed> {
    const { timeouts, timer } = this.#options;
    const guard = new RequestGuard(signal, timer);
    guard.allow({ small: timeouts.smallMs, brief: timeouts.briefMs, long: timeouts.firstByteMs }[request.patience]);
    try {
      const response = await send(this.#endpoint.origin + this.#endpoint.basePath + request.path, {
        dispatcher: this.#agent,
        method: request.method,
        headers: this.#headers(request, type),
        body: request.body === undefined ? null : JSON.stringify(request.body),
        signal: guard.signal,
        headersTimeout: 0,
        bodyTimeout: 0,
      });
      // A half-read body that is dropped reports an error, which has no other listener.
      response.body.on('error', () => undefined);
      const failed = await this.#refusal(request, response, signal);
      if (!failed) return { body: response.body, content: contentOf(response), type: contentTypeOf(response), guard };
      guard.dispose();
      return failed;
    } catch (error) {
      guard.dispose();
      const ended = guard.verdict(this.label, error);
      if (ended) throw ended;
      return this.#failure(request, error);
    }
  }

  #headers(request: LinkRequest, type: string): Record<string, string> {
    const key = this.#key;
    return {
      accept: type || '*/*',
      // A measurement must belong to this request, and counters to this moment.
      'cache-control': 'no-store',
      ...request.headers,
      ...(request.body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
    };
  }

  get #key(): string | undefined {
    return this.#address.token ?? this.#options.apiKey;
  }

  /** What is wrong with an answer whose head has come; null when nothing is. */
  async #refusal(request: LinkRequest, response: Dispatcher.ResponseData, signal: AbortSignal): Promise<Failed | null> {
    const { path } = request;
    const { statusCode: status, headers, body } = response;
    // The body shows the kind of an answer: servers and proxies send streams and JSON under every content type.
    if (status >= 200 && status < 300) return null;
    const text = this.withoutSecrets(request, await readRefusal(contentOf(response)));
    body.destroy();
    signal.throwIfAborted();
    const { location: target } = headers;
    const location = typeof target === 'string' ? this.withoutSecrets(request, target) : null;
    const retryAfterMs = retryAfter(headers['retry-after']);
    const keySent = this.#key !== undefined;
    const error = statusError({ status, location, text, label: this.label, path, keySent, retryAfterMs });
    // A server that says when to come back is not asked before that, and not waited for where that is long.
    const transient = status >= 500 && status !== 501 && (retryAfterMs ?? 0) <= longestAskedMs;
    return new Failed(error, {
      retry: transient,
      mayHaveRun: transient,
      ...(retryAfterMs !== null && { retryAfterMs }),
    });
  }

  #failure(request: LinkRequest, cause: unknown): Failed {
    const kind = classifyFailure(cause);
    const error = failureError(cause, this.label);
    this.#options.onConnectionFailure();
    const isManaged = this.#address.managed === true;
    // A managed server runs before its address is there: one that refuses has ended.
    if (kind === 'refused')
      return new Failed(error, { retry: true, atOnce: isManaged, reconnect: true, isRefused: true });
    const small = request.patience === 'small';
    const retry = kind === 'lost' && (small || isManaged);
    // The connection was opened before the server's restart; the next try opens another one.
    const mayBeStale = kind === 'lost' && small && isManaged;
    return new Failed(error, { retry, atOnce: small, reconnect: true, mayHaveRun: true, mayBeStale });
  }

  async #pause(tries: number, { error, retryAfterMs }: Failed, signal: AbortSignal): Promise<void> {
    try {
      await this.#options.sleep(retryAfterMs ?? retryDelayMs(tries, this.#options.random()), signal);
    } catch (cause) {
      throw new CwmError('Cancelled', `It was cancelled while waiting to try again after: ${error.message}`, { cause });
    }
  }

  /** The server may restart at another address. */
  async #reconnect(signal: AbortSignal, isRefused: boolean): Promise<void> {
    const refusedAt = isRefused ? this.#address.url : undefined;
    this.#address = await orAborted(this.#options.connect(signal, refusedAt), signal);
    this.#endpoint = parseEndpoint(this.#address.url);
  }
}

/** Milliseconds of a `Retry-After` header: whole seconds, or a date. */
function retryAfter(header: string | string[] | undefined): number | null {
  if (typeof header !== 'string') return null;
  const ms = /^\d+$/.test(header.trim()) ? Number(header) * 1000 : Date.parse(header) - Date.now();
  return Number.isFinite(ms) ? Math.max(0, ms) : null;
}

class Failed {
  readonly error: CwmError;
  readonly retry: boolean;
  /** Without a pause. */
  readonly atOnce: boolean;
  readonly reconnect: boolean;
  readonly mayHaveRun: boolean;
  /** Nobody listens there. */
  readonly isRefused: boolean;
  /** The connection may have been one to a process that is gone. */
  readonly mayBeStale: boolean;
  /** What the server asks for; undefined: it does not say. */
  readonly retryAfterMs: number | undefined;

  constructor(error: CwmError, how: Partial<Omit<Failed, 'error'>>) {
    this.error = error;
    this.retryAfterMs = how.retryAfterMs;
    this.retry = how.retry ?? false;
    this.atOnce = how.atOnce ?? false;
    this.reconnect = how.reconnect ?? false;
    this.mayHaveRun = how.mayHaveRun ?? false;
    this.isRefused = how.isRefused ?? false;
    this.mayBeStale = how.mayBeStale ?? false;
  }
}
