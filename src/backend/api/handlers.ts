import type { CoreRouteName, ParsedInput, RouteName, RouteOutput } from '../../protocol/api.ts';

/** Does what a route asks for. `signal` aborts when the client has gone or the backend ends. */
export type RouteHandler<Name extends RouteName> = (
  input: ParsedInput<Name>,
  signal: AbortSignal,
) => Promise<RouteOutput<Name>>;

export type RouteHandlers = { readonly [Name in RouteName]: RouteHandler<Name> };

/** One method for each route of the domain. */
export type Domain = { readonly [Name in CoreRouteName]: RouteHandler<Name> };

/** The domain's methods as handlers. Spelled out, so that a new route does not compile until it is answered. */
export function domainHandlers(domain: Domain): Domain {
  return {
    createSession: (input, signal) => domain.createSession(input, signal),
    listSessions: (input, signal) => domain.listSessions(input, signal),
    getSession: (input, signal) => domain.getSession(input, signal),
    deleteSession: (input, signal) => domain.deleteSession(input, signal),
    listMessages: (input, signal) => domain.listMessages(input, signal),
    send: (input, signal) => domain.send(input, signal),
    prime: (input, signal) => domain.prime(input, signal),
    freeze: (input, signal) => domain.freeze(input, signal),
    listWindows: (input, signal) => domain.listWindows(input, signal),
    getWindow: (input, signal) => domain.getWindow(input, signal),
    thaw: (input, signal) => domain.thaw(input, signal),
    clone: (input, signal) => domain.clone(input, signal),
    deleteWindow: (input, signal) => domain.deleteWindow(input, signal),
    pinWindow: (input, signal) => domain.pinWindow(input, signal),
    usage: (input, signal) => domain.usage(input, signal),
    prune: (input, signal) => domain.prune(input, signal),
    listTrash: (input, signal) => domain.listTrash(input, signal),
    restoreFromTrash: (input, signal) => domain.restoreFromTrash(input, signal),
    emptyTrash: (input, signal) => domain.emptyTrash(input, signal),
    verify: (input, signal) => domain.verify(input, signal),
    getState: (input, signal) => domain.getState(input, signal),
    updateState: (input, signal) => domain.updateState(input, signal),
    listRecoveryPoints: (input, signal) => domain.listRecoveryPoints(input, signal),
    createRecoveryPoint: (input, signal) => domain.createRecoveryPoint(input, signal),
    restoreRecoveryPoint: (input, signal) => domain.restoreRecoveryPoint(input, signal),
    syncState: (input, signal) => domain.syncState(input, signal),
    activeStates: (input, signal) => domain.activeStates(input, signal),
    activateState: (input, signal) => domain.activateState(input, signal),
    deactivateState: (input, signal) => domain.deactivateState(input, signal),
    activeSession: (input, signal) => domain.activeSession(input, signal),
    activateSession: (input, signal) => domain.activateSession(input, signal),
  };
}
