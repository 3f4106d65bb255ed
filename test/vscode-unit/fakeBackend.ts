import { Emitter } from '../../src/base/emitter.ts';
import type { RouteInput, RouteName, RouteOutput } from '../../src/protocol/api.ts';
import type { Change, Signal } from '../../src/protocol/signals.ts';
import { CwmError } from '../../src/protocol/errors.ts';
import type { Backend } from '../../src/vscode/connection/backend.ts';

type Answers = { [Name in RouteName]?: (input: RouteInput<Name>) => RouteOutput<Name> | Promise<RouteOutput<Name>> };

/** Answers routes with what a test gives it, and keeps what it was asked. */
export class FakeBackend implements Backend {
  readonly asked: { route: RouteName; input: unknown }[] = [];
  readonly #answers: Answers;
  readonly #signals = new Emitter<Signal>();
  readonly #closed = new Emitter<void>();
  #sequence = 0;
  disposed = false;

  constructor(answers: Answers = {}) {
    this.#answers = answers;
  }

  async call<Name extends RouteName>(route: Name, input: RouteInput<Name>): Promise<RouteOutput<Name>> {
    this.asked.push({ route, input });
    const answer = this.#answers[route] as ((input: RouteInput<Name>) => RouteOutput<Name>) | undefined;
    if (answer === undefined) throw new CwmError('RouteNotFound', `The fake has no answer for ${route}.`);
    return answer(input);
  }

  gateway(): Promise<never> {
    return Promise.reject(new CwmError('RouteNotFound', 'The fake is no gateway.'));
  }

  onSignal(listener: (signal: Signal) => void): { dispose(): void } {
    return this.#signals.subscribe(listener);
  }

  onClosed(listener: () => void): { dispose(): void } {
    return this.#closed.subscribe(listener);
  }

  emit(change: Change): void {
    this.#signals.emit({ sequence: ++this.#sequence, change });
  }

  die(): void {
    this.#closed.emit();
  }

  dispose(): void {
    this.disposed = true;
  }

  count(route: RouteName): number {
    return this.asked.filter((one) => one.route === route).length;
  }
}

export const healthAnswer: RouteOutput<'health'> = {
  status: 'healthy',
  version: '0.1.0',
  pid: 7,
  storage: '/storage',
  uptimeSeconds: 61,
  sessions: 1,
  windows: 2,
  engines: [],
  defaultEngine: 'embedded',
};

/** A page as the backend's lists answer. */
export const page = <T>(items: T[], total = items.length): { items: T[]; total: number; hasMore: boolean } => ({
  items,
  total,
  hasMore: items.length < total,
});
