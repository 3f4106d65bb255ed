import { Hono, type Context } from 'hono';
import { routes, type Route, type RouteName } from '../../protocol/api.ts';
import { eventStreamType, operationHeader, signalsHeader } from '../../protocol/operationEvents.ts';
import { eventsPath } from '../../protocol/signals.ts';
import { apiHeader, clientHeader, engineKeyForHeader, engineKeyHeader } from '../../protocol/backendRecord.ts';
import { CwmError, errors, toCwmError } from '../../protocol/errors.ts';
import { firstApiWithNoContent, type ApiVersions } from '../../protocol/version.ts';
import type { Refusal } from '../audit/refusals.ts';
import { answerChallenges, type Identity } from './challenge.ts';
import type { ClientFolders } from './clientFolders.ts';
import type { Dispatch } from './dispatch.ts';
import { levelOf } from './loggedDispatch.ts';
import type { Reporter } from '../../core/ports/reporter.ts';
import { streamOperation } from './operationStream.ts';
import { streamEvents } from './eventStream.ts';
import type { IdleWatch } from '../process/idleWatch.ts';
import type { Log } from '../process/logFile.ts';
import { clientName } from '../requestScope.ts';
import { readRouteInput } from './routeInput.ts';
import type { NamedEvents, SignalBus } from './signalBus.ts';

export interface AppParts {
  readonly dispatch: Dispatch;
  readonly bus: SignalBus;
  readonly events: NamedEvents;
  readonly idle: IdleWatch;
  readonly folders: Pick<ClientFolders, 'listen'>;
  readonly log: Log;
  /** Receives every request that was refused or failed. */
  readonly onRefused: (refusal: Refusal) => void;
  /** Ends the event streams. */
  readonly streamsEnded: AbortSignal;
  /** Aborts the operations that run. */
  readonly operationsEnded: AbortSignal;
  /** Throws for a request that it refuses. */
  readonly admit?: ((headers: Headers) => void) | undefined;
  /** Answers the clients' question whether the backend knows the token of its socket. Left out on TCP, where strangers can ask. */
  readonly identity?: Identity | undefined;
  /** The kind of every client of this listener, for audit log and guards; default: what clients say of themselves. */
  readonly clientKind?: string | undefined;
  /** Default 30 s. */
  readonly bodyMs?: number | undefined;
  /** Versions of this API that the backend answers. */
  readonly api: ApiVersions;
}

/**
 * The control API, made from the table of routes. Every failure is `{ error: ErrorReport }`; only the log has the cause of an unexpected
 * one. An operation is aborted when its client goes away.
 */
export function createApp(parts: AppParts): Hono {
  const app = new Hono();
  const { admit, clientKind, identity } = parts;
  const clientOf = (c: Context): string => clientKind ?? clientName(c.req.header(clientHeader));
  app.onError((error, c) => {
    logRefusal(c, error, clientOf(c), parts.log);
    return answerFailure(error);
  });
  app.notFound((c) => {
    const methods = methodsOf(c.req.path);
    if (methods.length > 0)
      throw new CwmError('MethodNotAllowed', `${c.req.path} has no ${c.req.method}.`, { context: { allow: methods } });
    throw new CwmError('RouteNotFound', `The backend has no ${c.req.method} ${c.req.path}.`);
  });
  if (identity) answerChallenges(app, identity);
  app.use(async (_, next) => {
    const user = parts.idle.enter();
    try {
      await next();
    } finally {
      user.dispose();
    }
  });
  if (admit) {
    app.use(async (c, next) => {
      try {
        admit(c.req.raw.headers);
      } catch (error) {
        parts.onRefused({ route: null, input: null, error: toCwmError(error), client: clientOf(c) });
        throw error;
      }
      await next();
    });
  }

  app.use(async (c, next) => {
    checkApi(c.req.header(apiHeader), parts.api);
    await next();
  });
  app.get(eventsPath, (c) => {
    const users = [parts.idle.enter(), parts.folders.listen(clientOf(c))];
    const leave = (): void => {
      for (const user of users) user.dispose();
    };
    try {
      return streamEvents(c, { signals: parts.bus, events: parts.events }, parts.streamsEnded, leave);
    } catch (error) {
      leave();
      throw error;
    }
  });
  for (const [name, route] of Object.entries(routes) as [RouteName, Route][]) {
    app.on(route.method, route.path, async (c) => {
      const client = clientOf(c);
      const operationId = operationOf(c);
      c.header(operationHeader, operationId);
      let input: unknown = null;
      const refuse = (error: unknown): void =>
        parts.onRefused({ route: name, input, error: toCwmError(error), client });
      try {
        input = await readRouteInput(c, name, parts.bodyMs);
        const request = {
          route: name,
          input,
          client,
          operationId,
          engineKey: c.req.header(engineKeyHeader),
          engineKeyFor: c.req.header(engineKeyForHeader),
        };
        const run = (reporter?: Reporter): Promise<unknown> =>
          abortable(c, parts.operationsEnded, (signal) => parts.dispatch(request, signal, reporter));
        if (route.streams && c.req.header('accept')?.includes(eventStreamType)) {
          return await streamOperation(c, {
            run,
            signals: () => parts.bus.head,
            onFailed: refuse,
            enter: () => parts.idle.enter(),
          });
        }
        const result = await run();
        if (route.kind === 'change') c.header(signalsHeader, String(parts.bus.head));
        return answer(c, route, result);
      } catch (error) {
        refuse(error);
        // The dispatcher logs its own failures; input that was not understood never reached it.
        if (input !== null) return answerFailure(error);
        throw error;
      }
    });
  }
  return app;
}

/** 204 where the route has nothing to say, but to programs of earlier releases, which read JSON in any case. */
function answer(c: Context, route: Route, result: unknown): Response {
  const readsNoContent = Number(c.req.header(apiHeader) ?? firstApiWithNoContent) >= firstApiWithNoContent;
  if (readsNoContent && Object.keys(result as object).length === 0) return c.body(null, 204);
  if (route.answersText !== undefined)
    return c.body((result as { text: string }).text, 200, { 'content-type': route.answersText });
  return c.json(result, route.creates ? 201 : 200);
}

/** The client's id for the operation, in the form that logs may show. */
function operationOf(c: Context): string | undefined {
  const given = c.req.header(operationHeader);
  return given !== undefined && /^[A-Za-z0-9-]{1,64}$/.test(given) ? given : undefined;
}

/** Runs an operation with a signal of its own, which the client's leaving and the backend's end abort. */
async function abortable<T>(c: Context, ended: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const operation = new AbortController();
  const cancel = (message: string) => (): void => operation.abort(new CwmError('Cancelled', message));
  const onLeft = cancel('The client went away, so the operation was cancelled.');
  const onEnded = cancel('The backend is ending, so the operation was cancelled.');
  const left = c.req.raw.signal;
  left.addEventListener('abort', onLeft);
  ended.addEventListener('abort', onEnded);
  try {
    if (ended.aborted) onEnded();
    operation.signal.throwIfAborted();
    return await work(operation.signal);
  } finally {
    left.removeEventListener('abort', onLeft);
    ended.removeEventListener('abort', onEnded);
  }
}

function logRefusal(c: Context, thrown: unknown, client: string, log: Log): void {
  const error = toCwmError(thrown);
  const request = { method: c.req.method, route: c.req.routePath, code: error.code, client };
  if (error.name === 'Internal') log.failure('request failed', thrown, request);
  else log.write(levelOf(error), 'request refused', request);
}

function answerFailure(thrown: unknown): Response {
  const error = toCwmError(thrown);
  // The library's type does not know statuses like 499.
  return new Response(JSON.stringify({ error: error.report() }), {
    status: errors[error.name].status,
    headers: { 'content-type': 'application/json', ...headersOf(error) },
  });
}

/** What a path of the API can be asked with. */
function methodsOf(path: string): readonly string[] {
  const all: readonly Pick<Route, 'method' | 'path'>[] = [
    ...Object.values(routes),
    { method: 'GET', path: eventsPath },
  ];
  const fitting = all.filter((route) => new RegExp(`^${route.path.replaceAll(/:\w+/g, '[^/]+')}$`).test(path));
  // A path that is spelled out is meant before one with a parameter in its place.
  const named = fitting.filter((route) => route.path === path);
  return (named.length > 0 ? named : fitting).map(({ method }) => method);
}

function headersOf({ name, context }: CwmError): Record<string, string> {
  if (name === 'TokenRequired') return { 'www-authenticate': 'Bearer' };
  const allowed = context?.['allow'];
  if (name === 'MethodNotAllowed' && Array.isArray(allowed)) return { allow: allowed.join(', ') };
  const seconds = context?.['retry_after_seconds'];
  return typeof seconds === 'number' ? { 'retry-after': String(seconds) } : {};
}

/**
 * A client knows the version of the backend that it found. By now another backend may listen at the same address: the client must then
 * look again.
 */
function checkApi(header: string | undefined, { current, oldest }: ApiVersions): void {
  const spoken = Number(header ?? current);
  if (spoken <= current && spoken >= oldest) return;
  throw new CwmError('BackendUnavailable', `This backend answers versions ${oldest} to ${current} of its API.`, {
    context: { reconnect: true },
  });
}
