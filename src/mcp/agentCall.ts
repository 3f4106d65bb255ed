import type { Disposable } from '../base/disposable.ts';
import type { RouteName, RouteOutput } from '../protocol/api.ts';
import { CwmError, type ErrorReport } from '../protocol/errors.ts';
import type { Signal } from '../protocol/signals.ts';
import type { Backend } from './mcpParts.ts';

export interface AgentCallOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((step: string) => void) | undefined;
}

/** Who calls. */
export interface InnerClient {
  /** As working directories and logs know it. */
  readonly name: string;
  /** Whose token it has: all clients with one token share its limits, however often they begin. */
  readonly rateOwner: string;
}

/**
 * The backend in whose process this server runs. Failures cross as reports: this server is a bundle of its own there, with a class of its own
 * for errors.
 */
export interface InnerBackend {
  call(
    client: InnerClient,
    route: RouteName,
    input: object,
    options: AgentCallOptions,
  ): Promise<{ readonly result: unknown } | { readonly error: ErrorReport }>;
  /** Until the result is disposed, the client counts as connected. */
  onSignal(client: string, listener: (signal: Signal) => void): Disposable;
}

/** The backend as one of its clients has it. */
export const backendOf = (inner: InnerBackend, client: InnerClient): Backend => ({
  async call<Name extends RouteName>(name: Name, input: object, options: AgentCallOptions = {}) {
    const answer = await inner.call(client, name, input, options);
    if ('error' in answer) throw CwmError.fromReport(answer.error);
    // The backend checked it by the route's schema.
    return answer.result as RouteOutput<Name>;
  },
  onSignal: (listener) => inner.onSignal(client.name, listener),
});
