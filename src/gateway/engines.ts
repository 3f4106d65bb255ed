import type { Clock } from '../base/clock.ts';
import type { EngineDescription } from '../core/ports/engine.ts';
import type { EngineRegistry } from '../core/ports/engineRegistry.ts';
import type { UpstreamAddress } from './passing/upstream.ts';

/** The model servers, and where requests for them go. */
export interface GatewayEngines extends Pick<EngineRegistry, 'get' | 'defaultSpec'> {
  /** May start the server. @throws CwmError when there is none. */
  address(spec: string, signal: AbortSignal): Promise<UpstreamAddress>;
}

/** An engine as a request meets it. */
export interface Target {
  readonly spec: string;
  readonly address: UpstreamAddress;
  readonly description: EngineDescription;
}

const freshMs = 30_000;

/** Asks an engine what it is at most twice a minute: a request must not wait for another one each time. */
export class Targets {
  readonly #engines: GatewayEngines;
  readonly #clock: Clock;
  readonly #known = new Map<string, { readonly description: EngineDescription; readonly atMs: number }>();

  constructor(engines: GatewayEngines, clock: Clock) {
    this.#engines = engines;
    this.#clock = clock;
  }

  /** @throws CwmError of the engine. */
  async of(spec: string, signal: AbortSignal): Promise<Target> {
    const address = await this.#engines.address(spec, signal);
    const known = this.#known.get(spec);
    const nowMs = this.#clock.elapsedMs();
    if (known && nowMs - known.atMs < freshMs) return { spec, address, description: known.description };
    const description = await this.#engines.get(spec).describe(signal);
    this.#known.set(spec, { description, atMs: nowMs });
    return { spec, address, description };
  }

  get defaultSpec(): string {
    return this.#engines.defaultSpec;
  }

  /** The server was lost, or refused a request: it may be another one now. */
  doubt(spec: string): void {
    this.#known.delete(spec);
  }
}
