import type { ErrorReport } from '../../src/protocol/errors.ts';
import type { RouteInput, RouteName, RouteOutput } from '../../src/protocol/api.ts';

/** One call of the control API. */
export type Request = {
  [Name in RouteName]: { readonly name: Name; readonly input: RouteInput<Name> };
}[RouteName];

/** What came of it. `unknown`: whoever had to answer died; nobody knows whether it was done. */
export type Outcome =
  | { readonly kind: 'done'; readonly output: unknown }
  | { readonly kind: 'refused'; readonly report: ErrorReport }
  | { readonly kind: 'unknown' };

/** What is asked of a client process: a call, or what it shows its user just now. */
export type ClientTask = { readonly id: number } & ({ readonly request: Request } | { readonly look: true });

export interface ClientReply {
  readonly id: number;
  readonly outcome: Outcome;
}

/** What a client that follows the signals shows: sessions with their lifecycle and number of messages, and windows. */
export interface Picture {
  readonly sessions: Readonly<Record<string, string>>;
  readonly windows: readonly string[];
}

export const outputOf = <Name extends RouteName>(_name: Name, output: unknown): RouteOutput<Name> =>
  output as RouteOutput<Name>;
