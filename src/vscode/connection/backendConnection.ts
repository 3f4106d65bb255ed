import type { IncomingMessage } from 'node:http';
import type { CallOptions, GatewayAsked } from '../../client/backendClient.ts';
import { unlessAborted } from '../../base/unlessAborted.ts';
import type { Disposable } from '../../base/disposable.ts';
import { DisposableStore } from '../../base/disposable.ts';
import { Emitter } from '../../base/emitter.ts';
import type { RouteInput, RouteName, RouteOutput } from '../../protocol/api.ts';
import type { Change } from '../../protocol/signals.ts';
import { CwmError, isCwmError, toCwmError } from '../../protocol/errors.ts';
import type { Backend, ConnectBackend } from './backend.ts';
import type { ViewState } from '../state.ts';

/** `lost`: the backend behind it ended; the next call starts another one. */
type Held =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'starting'; readonly backend: Promise<Backend> }
  | { readonly kind: 'open' | 'lost'; readonly backend: Backend; readonly subscriptions: DisposableStore };

/**
 * The one connection of this window of VS Code to the backend. The first call opens it, and all parts share it. It writes its own
 * condition to `state.connection`.
 */
export class BackendConnection implements Disposable {
  readonly #connect: ConnectBackend;
  readonly #state: ViewState;
  readonly #disposed = new AbortController();
  readonly #changes: Emitter<Change>;
  #held: Held = { kind: 'nothing' };
  /** Counts the backends that were released, so that a start that ends later knows that it is too late. */
  #letGoCount = 0;

  constructor(connect: ConnectBackend, state: ViewState, onError: (error: unknown) => void) {
    this.#connect = connect;
    this.#state = state;
    this.#changes = new Emitter<Change>(onError);
  }

  /** Whether a backend is connected, so that a call starts none. */
  get isOpen(): boolean {
    return this.#held.kind === 'open';
  }

  /** Passes on the backend's changes, and a `resync` after each connect. */
  onChange(listener: (change: Change) => void): Disposable {
    return this.#changes.subscribe(listener);
  }

  /**
   * Calls the backend, and starts it when it is not running. An abort ends this call's wait, but not a start that other calls share.
   *
   * @throws CwmError BackendUnavailable when it cannot be reached, Cancelled after an abort, else what the backend answered.
   */
  async call<Name extends RouteName>(
    route: Name,
    input: RouteInput<Name>,
    options: CallOptions = {},
  ): Promise<RouteOutput<Name>> {
    const backend = await unlessAborted(this.open(), options.signal).catch((error: unknown) => {
      throw toCwmError(error);
    });
    try {
      return await backend.call(route, input, options);
    } catch (error) {
      if (isCwmError(error, 'BackendUnavailable')) this.#lost(error);
      throw error;
    }
  }

  /** Sends JSON to a route of the gateway, which asks `engine`; the answer is still to be read. @throws as {@link call}. */
  async gateway(path: string, body: string, how: Omit<GatewayAsked, 'name'>): Promise<IncomingMessage> {
    const backend = await unlessAborted(this.open(), how.signal);
    return await backend.gateway(path, body, { ...how, name: 'vscode-chat' });
  }

  /** @throws CwmError BackendUnavailable when there is none and none can be started, Cancelled after `dispose`. */
  async open(): Promise<Backend> {
    this.#throwIfDisposed();
    const held = this.#held;
    switch (held.kind) {
      case 'nothing': {
        const backend = this.#start(this.#connect);
        this.#held = { kind: 'starting', backend };
        return backend;
      }
      case 'lost':
        return this.#startAgain(held.backend);
      case 'starting':
      case 'open':
        return held.backend;
    }
  }

  /**
   * Releases the backend, runs `work`, which may end that backend and start others, and connects again even if the work fails. Calls
   * wait until then. When the new connection fails, the state says so; the work's result stands.
   *
   * @throws what `work` does, Cancelled after `dispose`.
   */
  async without<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    // No other call may start a backend or run other work at the same time.
    while (this.#held.kind === 'starting') await Promise.allSettled([this.#held.backend]);
    this.#throwIfDisposed();
    this.#letGo();
    const working = work(this.#disposed.signal);
    const backend = this.#start(async (signal) => {
      await Promise.allSettled([working]);
      return this.#connect(signal);
    });
    this.#held = { kind: 'starting', backend };
    await Promise.allSettled([backend]);
    return await working;
  }

  /**
   * Releases the backend. The next call opens a new connection with the settings of that moment. A call that waits for a start gets
   * the new connection.
   */
  close(): void {
    this.#letGo();
    this.#state.update({ connection: { kind: 'idle' }, engine: { kind: 'unasked' } });
  }

  dispose(): void {
    this.#disposed.abort();
    this.#letGo();
    this.#changes.dispose();
  }

  #throwIfDisposed(): void {
    if (this.#disposed.signal.aborted) throw new CwmError('Cancelled', 'The extension is being stopped.');
  }

  async #start(connect: ConnectBackend): Promise<Backend> {
    const letGoCount = this.#letGoCount;
    const isLate = (): boolean => this.#letGoCount !== letGoCount;
    this.#state.update({ connection: { kind: 'starting' } });
    try {
      const backend = await connect(this.#disposed.signal);
      if (isLate()) {
        backend.dispose();
        return await this.open();
      }
      const subscriptions = new DisposableStore();
      subscriptions.add(backend.onSignal(({ change }) => this.#hear(change)));
      subscriptions.add(backend.onClosed(() => this.#lost(goneError())));
      this.#held = { kind: 'open', backend, subscriptions };
      this.#state.update({ connection: { kind: 'connected' } });
      this.#changes.emit({ type: 'resync' });
      return backend;
    } catch (thrown) {
      if (isLate()) return this.open();
      const error = toCwmError(thrown);
      this.#held = { kind: 'nothing' };
      this.#state.update({ connection: { kind: 'failed', error } });
      throw error;
    }
  }

  /** Every call on a lost backend starts another one. */
  async #startAgain(backend: Backend): Promise<Backend> {
    try {
      await backend.call('health', {});
    } catch (thrown) {
      const error = toCwmError(thrown);
      this.#lost(error);
      throw error;
    }
    this.#found();
    return backend;
  }

  #hear(change: Change): void {
    this.#found();
    this.#changes.emit(change);
  }

  #found(): void {
    const held = this.#held;
    if (held.kind !== 'lost') return;
    this.#held = { ...held, kind: 'open' };
    this.#state.update({ connection: { kind: 'connected' } });
    this.#changes.emit({ type: 'resync' });
  }

  #lost(error: CwmError): void {
    const held = this.#held;
    if (held.kind !== 'open' && held.kind !== 'lost') return;
    this.#held = { ...held, kind: 'lost' };
    this.#state.update({ connection: { kind: 'failed', error }, engine: { kind: 'unasked' } });
  }

  #letGo(): void {
    const held = this.#held;
    this.#held = { kind: 'nothing' };
    this.#letGoCount++;
    if (held.kind !== 'open' && held.kind !== 'lost') return;
    held.subscriptions.dispose();
    held.backend.dispose();
  }
}

const goneError = (): CwmError =>
  new CwmError('BackendUnavailable', 'The backend has ended.', { hint: 'It starts again with the next command.' });
