import type { CallOptions } from '../../client/backendClient.ts';
import type { Disposable } from '../../base/disposable.ts';
import type { RouteInput, RouteName, RouteOutput } from '../../protocol/api.ts';
import type { Signal } from '../../protocol/signals.ts';

/** The backend as the extension uses it; the client satisfies it. A call to one that has gone starts another. */
export interface Backend extends Disposable {
  /** @throws CwmError what the backend answered, BackendUnavailable when it can't be reached, Cancelled when the options' signal aborted. */
  call<Name extends RouteName>(route: Name, input: RouteInput<Name>, options?: CallOptions): Promise<RouteOutput<Name>>;
  onSignal(listener: (signal: Signal) => void): Disposable;
  /** Each time that the stream of signals is lost. It comes back by itself when a backend is there again. */
  onClosed(listener: () => void): Disposable;
}

/** Finds the running backend or starts one. @throws CwmError BackendUnavailable, Cancelled. */
export type ConnectBackend = (signal: AbortSignal) => Promise<Backend>;
