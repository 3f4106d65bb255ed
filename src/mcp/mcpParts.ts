import type { Disposable } from '../base/disposable.ts';
import type { CallOptions } from '../client/backendClient.ts';
import type { RouteInput, RouteName, RouteOutput } from '../protocol/api.ts';
import type { ToolRight } from '../protocol/routes/gateway.ts';
import type { Signal } from '../protocol/signals.ts';

/** The part of the client that the server uses. */
export interface Backend {
  call<Name extends RouteName>(route: Name, input: RouteInput<Name>, options?: CallOptions): Promise<RouteOutput<Name>>;
  onSignal(listener: (signal: Signal) => void): Disposable;
}

/** What one server of the protocol is made of. */
export interface McpParts {
  readonly backend: Backend;
  /** Model server for what an agent freezes and thaws; undefined: that of the session or window. */
  readonly engine: string | undefined;
  /** Which tools it may call: each, or only those that change nothing. The others are not offered. */
  readonly tools: ToolRight;
  /** Whether an agent's `force` deletes a window without a question to a person. */
  readonly allowForce: boolean;
}
