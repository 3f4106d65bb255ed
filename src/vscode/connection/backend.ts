import type { IncomingMessage } from 'node:http';
import type { CallOptions, GatewayAsked } from '../../client/backendClient.ts';
import type { Disposable } from '../../base/disposable.ts';
import type { RouteInput, RouteName, RouteOutput } from '../../protocol/api.ts';
import type { Signal } from '../../protocol/signals.ts';

/** The part of the client that the extension uses. A call starts another backend when the last one has ended. */
export interface Backend extends Disposable {
  /** @throws CwmError what the backend answered, BackendUnavailable when it cannot be reached, Cancelled when the options' signal aborted. */
  call<Name extends RouteName>(route: Name, input: RouteInput<Name>, options?: CallOptions): Promise<RouteOutput<Name>>;
  /** Sends JSON to a route of the gateway. @throws CwmError BackendUnavailable, Cancelled. */
  gateway(path: string, body: string, how: GatewayAsked): Promise<IncomingMessage>;
  onSignal(listener: (signal: Signal) => void): Disposable;
  /** Calls `listener` each time that the stream of signals is lost. The stream returns by itself with the next backend. */
  onClosed(listener: () => void): Disposable;
}

/** Finds the running backend or starts one. @throws CwmError BackendUnavailable, Cancelled. */
export type ConnectBackend = (signal: AbortSignal) => Promise<Backend>;
