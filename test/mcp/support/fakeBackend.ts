import type { Disposable } from '../../../src/base/disposable.ts';
import { Emitter } from '../../../src/base/emitter.ts';
import type { CallOptions } from '../../../src/client/backendClient.ts';
import type { Backend } from '../../../src/mcp/mcpParts.ts';
import type { RouteInput, RouteName, RouteOutput } from '../../../src/protocol/api.ts';
import type { Change, Signal } from '../../../src/protocol/signals.ts';

type Handlers = {
  readonly [Name in RouteName]?: (
    input: RouteInput<Name>,
    options: CallOptions,
  ) => RouteOutput<Name> | Promise<RouteOutput<Name>>;
};

/** A backend that answers what a test gives it, and remembers what it was asked. */
export class FakeBackend implements Backend {
  readonly calls: { readonly name: RouteName; readonly input: object }[] = [];
  readonly #handlers: Handlers;
  readonly #signals = new Emitter<Signal>();
  #sequence = 0;

  constructor(handlers: Handlers) {
    this.#handlers = handlers;
  }

  async call<Name extends RouteName>(
    name: Name,
    input: RouteInput<Name>,
    options: CallOptions = {},
  ): Promise<RouteOutput<Name>> {
    this.calls.push({ name, input });
    const handler = this.#handlers[name];
    if (!handler) throw new Error(`The test answers no "${name}".`);
    return await handler(input, options);
  }

  onSignal(listener: (signal: Signal) => void): Disposable {
    return this.#signals.subscribe(listener);
  }

  get listeners(): number {
    return this.#signals.listenerCount;
  }

  signal(change: Change): void {
    this.#signals.emit({ sequence: ++this.#sequence, change });
  }
}
