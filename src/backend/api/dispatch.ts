import { coreRoutes, routes, type RouteName } from '../../protocol/api.ts';
import type { Operations } from '../../core/operations.ts';
import { silent, type Reporter } from '../../core/ports/reporter.ts';
import { CwmError } from '../../protocol/errors.ts';
import { clientKind, httpClientKind, isAgent, withRequest, type RequestScope } from '../requestScope.ts';
import type { ProcessHandlers } from './processHandlers.ts';
import type { OperationLimit } from './operationLimit.ts';
import type { RateLimiter } from './rateLimit.ts';

export interface DispatchParts {
  readonly operations: Operations;
  readonly process: ProcessHandlers;
  readonly limit: OperationLimit;
  readonly rates: RateLimiter;
  /** Why the store refuses changes; null when it takes them. */
  readonly readOnlyWhy: (() => CwmError) | null;
  /** Why this backend begins nothing new; null while it takes requests. */
  readonly noMoreWhy: () => CwmError | null;
}

export interface OperationRequest extends RequestScope {
  readonly route: RouteName;
  /** As the route's schema parsed it. */
  readonly input: unknown;
  /** The client's name for the operation, for the log. */
  readonly operationId?: string | undefined;
}

type Handler = (input: unknown, signal: AbortSignal, reporter: Reporter) => Promise<unknown>;

/** @param reporter receives what the operation reports while it works; default: nothing does. */
export type Dispatch = (request: OperationRequest, signal: AbortSignal, reporter?: Reporter) => Promise<unknown>;

/**
 * Runs a route's operation, under the guards that its facts call for (`Route`). All listeners use it.
 *
 * @throws CwmError AccessDenied, TooManyRequests, UnsupportedSchema (the store is read-only), TooManyOperations, and the operation's.
 */
export function makeDispatch({ operations, process, limit, rates, readOnlyWhy, noMoreWhy }: DispatchParts): Dispatch {
  const handlerOf = (name: RouteName): Handler =>
    (Object.hasOwn(coreRoutes, name) ? operations : process)[name as never];
  return async ({ route: name, input, ...scope }, signal, reporter = silent) => {
    const route = routes[name];
    const run = (): Promise<unknown> => withRequest(scope, () => handlerOf(name)(input, signal, reporter));
    if (route.clients === 'own' && isAgent(scope.client)) throw notForAgents(name);
    if (clientKind(scope.client) === httpClientKind) {
      if (route.clients === 'socket') throw notOverTcp(`cannot call "${name}"`);
      if (namesEngine(input))
        throw notOverTcp('use the model server of the session, or the one of new sessions, and cannot name another');
      if (givesTools(input)) throw notOverTcp('cannot give a session tools');
    }
    // A model must not choose the policy that asks for its own calls.
    if (isAgent(scope.client) && givesTools(input)) throw notForAgents(name);
    if (route.kind === 'read') return run();
    if (readOnlyWhy && !route.allowedReadOnly) throw readOnlyWhy();
    if (route.unlimited) return run();
    const noMore = noMoreWhy();
    if (noMore) throw noMore;
    rates.take(scope.rateOwner ?? scope.client);
    return limit.run(run);
  };
}

/**
 * The backend would read files of the user's that a spec names, send its own API key to a URL of the client's choice, and reach what only
 * this machine can.
 */
const namesEngine = (input: unknown): boolean => (input as { engine?: unknown } | null)?.engine !== undefined;

/** Tools read the user's files, and run the programs that the user's settings name. */
const givesTools = (input: unknown): boolean => Boolean((input as { tools?: unknown } | null)?.tools);

const notOverTcp = (what: string): CwmError =>
  new CwmError('AccessDenied', `Clients over TCP ${what}.`, {
    hint: 'Do it in the editor or with the command line.',
  });

const notForAgents = (name: RouteName): CwmError =>
  new CwmError('AccessDenied', `Programs that act without a person, and clients over TCP, cannot call "${name}".`, {
    hint: 'Do it in the editor or with the command line.',
  });
