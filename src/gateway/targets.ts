import type { Clock } from '../base/clock.ts';
import type { AnsweredChat, EngineDescription } from '../core/ports/engine.ts';
import type { EngineRegistry } from '../core/ports/engineRegistry.ts';
import type { GatewayAddress } from './address.ts';
import { countOf, objectOf, parsed } from './formats/json.ts';
import { ownHeaders } from './passing/headers.ts';
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

/** What servers answer to a request without a model and messages; llama-server calls that an error of its own. */
const refusedThere = new Set([400, 422, 500]);
/** What servers answer where they have no such route. */
export const missingRoute: ReadonlySet<number> = new Set([404, 405, 501]);

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
  /** Whether a server has a route, by its address and the route; forgotten where the server may be another one. */
  readonly #routes = new Map<string, Map<string, boolean>>();

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
    const headers = ownHeaders(address);
    const reply = await this.#upstream.send(address, { method: 'GET', path: '/props', headers, body: null }, signal);
    const text = await reply.body.text();
    return countOf(objectOf(parsed(text))?.['total_slots']);
  }

  /** The ids with which every next prompt of a chat begins; null: nobody tells them. @throws CwmError of the engine. */
  async nextChatIds(spec: string, chat: AnsweredChat, signal: AbortSignal): Promise<readonly number[] | null> {
    return (await this.#engines.get(spec).nextChatIds?.(chat, signal)) ?? null;
  }

  get defaultSpec(): string {
    return this.#engines.defaultSpec;
  }

  /** The server was lost, or refused a request: it may be another one now. */
  doubt(spec: string): void {
    this.#known.delete(spec);
    this.#routes.delete(spec);
  }

  /**
   * Whether a server has a route that conversations can take. It is asked once, with a request that is none, so that nothing is computed; one
   * that gives no clear answer has none for now, and is asked again.
   */
  async hasRoute({ spec, address }: Target, path: string, signal: AbortSignal): Promise<boolean> {
    const known = this.#routes.get(spec)?.get(path);
    if (known !== undefined) return known;
    const headers = ownHeaders(address);
    let status: number;
    try {
      const reply = await this.#upstream.send(address, { method: 'POST', path, headers, body: '{}' }, signal);
      status = reply.statusCode;
      await reply.body.text();
    } catch (error) {
      if (signal.aborted) throw error;
      return false;
    }
    const isThere = refusedThere.has(status);
    if (isThere || missingRoute.has(status)) this.#learnt(spec, path, isThere);
    return isThere;
  }

  /** A request showed that the server has no such route. */
  hasNoRoute({ spec }: Target, path: string): void {
    this.#learnt(spec, path, false);
  }

  #learnt(spec: string, path: string, isThere: boolean): void {
    const routes = this.#routes.get(spec) ?? new Map<string, boolean>();
    this.#routes.set(spec, routes.set(path, isThere));
  }
}
