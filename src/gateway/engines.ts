import type { Clock } from '../base/clock.ts';
import type { EngineDescription } from '../core/ports/engine.ts';
import type { EngineRegistry } from '../core/ports/engineRegistry.ts';
import type { GatewayAddress } from './address.ts';
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
/** What is older than this is asked for again before a request is sent. */
const oldMs = 300_000;

interface Known extends Pick<Target, 'description' | 'slots'> {
  readonly atMs: number;
}

/** What the engines are: a request does not wait for that where it was asked lately, and asks again beside its own way. */
export class Targets {
  readonly #engines: GatewayEngines;
  readonly #upstream: Upstream;
  readonly #clock: Clock;
  readonly #known = new Map<string, Known>();
  readonly #asking = new Set<string>();

  constructor(engines: GatewayEngines, upstream: Upstream, clock: Clock) {
    this.#upstream = upstream;
    this.#engines = engines;
    this.#clock = clock;
  }

  /** The one that a request is for. @throws CwmError of the engine. */
  for({ address, signal }: { readonly address: GatewayAddress; readonly signal: AbortSignal }): Promise<Target> {
    return this.of(address.engine ?? this.defaultSpec, signal);
  }

  /** @throws CwmError of the engine. */
  async of(spec: string, signal: AbortSignal): Promise<Target> {
    const address = await this.#engines.address(spec, signal);
    const known = this.#known.get(spec);
    const ageMs = known ? this.#clock.elapsedMs() - known.atMs : Infinity;
    if (known && ageMs < oldMs) {
      if (ageMs >= freshMs) this.#askAgain(spec, address);
      return { spec, address, description: known.description, slots: known.slots };
    }
    const { description, slots } = await this.#ask(spec, address, signal);
    return { spec, address, description, slots };
  }

  #askAgain(spec: string, address: UpstreamAddress): void {
    if (this.#asking.has(spec)) return;
    this.#asking.add(spec);
    this.#ask(spec, address, AbortSignal.timeout(freshMs))
      .catch(() => this.#known.delete(spec))
      .finally(() => this.#asking.delete(spec));
  }

  async #ask(spec: string, address: UpstreamAddress, signal: AbortSignal): Promise<Known> {
    const description = await this.#engines.get(spec).describe(signal);
    const slots = description.kind === 'llama-server' ? await this.#slots(address, signal) : null;
    const known = { description, slots, atMs: this.#clock.elapsedMs() };
    this.#known.set(spec, known);
    return known;
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
