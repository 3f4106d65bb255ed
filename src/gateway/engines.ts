import type { Clock } from '../base/clock.ts';
import type { EngineDescription } from '../core/ports/engine.ts';
import type { EngineRegistry } from '../core/ports/engineRegistry.ts';
import { countOf, objectOf, parsed } from './formats/json.ts';
import type { Upstream, UpstreamAddress } from './passing/upstream.ts';

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
  /** Of a llama-server; null where it does not tell, and for other servers. */
  readonly slots: number | null;
}

const freshMs = 30_000;

/** Asks an engine what it is at most twice a minute: a request must not wait for another one each time. */
export class Targets {
  readonly #engines: GatewayEngines;
  readonly #upstream: Upstream;
  readonly #clock: Clock;
  readonly #known = new Map<
    string,
    { readonly description: EngineDescription; readonly slots: number | null; readonly atMs: number }
  >();

  constructor(engines: GatewayEngines, upstream: Upstream, clock: Clock) {
    this.#upstream = upstream;
    this.#engines = engines;
    this.#clock = clock;
  }

  /** @throws CwmError of the engine. */
  async of(spec: string, signal: AbortSignal): Promise<Target> {
    const address = await this.#engines.address(spec, signal);
    const known = this.#known.get(spec);
    const nowMs = this.#clock.elapsedMs();
    if (known && nowMs - known.atMs < freshMs)
      return { spec, address, description: known.description, slots: known.slots };
    const description = await this.#engines.get(spec).describe(signal);
    const slots = description.kind === 'llama-server' ? await this.#slots(address, signal) : null;
    this.#known.set(spec, { description, slots, atMs: nowMs });
    return { spec, address, description, slots };
  }

  async #slots(address: UpstreamAddress, signal: AbortSignal): Promise<number | null> {
    const headers: Record<string, string> =
      address.token === undefined ? {} : { authorization: `Bearer ${address.token}` };
    const reply = await this.#upstream.send(address, { method: 'GET', path: '/props', headers, body: null }, signal);
    const text = await reply.body.text();
    return countOf(objectOf(parsed(text))?.['total_slots']);
  }

  get defaultSpec(): string {
    return this.#engines.defaultSpec;
  }

  /** The server was lost, or refused a request: it may be another one now. */
  doubt(spec: string): void {
    this.#known.delete(spec);
  }
}
