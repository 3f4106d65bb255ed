import type { ParsedInput, RouteName, RouteOutput } from '../protocol/api.ts';

/** Does what a route asks for. `signal` aborts when the client has gone or the backend ends. */
export type RouteHandler<Name extends RouteName> = (
  input: ParsedInput<Name>,
  signal: AbortSignal,
) => Promise<RouteOutput<Name>>;

export type RouteHandlers = { readonly [Name in RouteName]: RouteHandler<Name> };
