import type { ParsedInput, ProcessRouteName, RouteOutput } from '../../protocol/api.ts';

/** Answers the routes that are about the backend's process. `signal` aborts when the client has gone or the backend ends. */
export type ProcessHandlers = {
  readonly [Name in ProcessRouteName]: (input: ParsedInput<Name>, signal: AbortSignal) => Promise<RouteOutput<Name>>;
};
