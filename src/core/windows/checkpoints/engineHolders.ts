import type { Clock } from '../../../base/clock.ts';
import { unlessAborted } from '../../../base/unlessAborted.ts';
import type { SessionId } from '../../../protocol/ids.ts';
import type { Session } from '../../../protocol/schemas/session.ts';
import type { EngineKind, SlotState } from '../../ports/engine.ts';
import type { EngineRegistry } from '../../ports/engineRegistry.ts';

const keyOf = (engine: string, id: SessionId): string => `${engine}\n${id}`;

/** A slot of a server that another program's requests are sent to, or the one place that the engine itself works in. */
type Place = number | 'own';

/** Which sessions each model server has in its memory, as far as this process knows. */
export class EngineHolders {
  readonly #engines: EngineRegistry;
  readonly #clock: Clock;
  /** By engine and place: the session that used it last; null: it was one of no session. */
  readonly #holders = new Map<string, Map<Place, SessionId | null>>();
  /** Slots that sessions are being brought into, by engine and session. */
  readonly #coming = new Map<string, number>();
  /** Engines whose places lose a conversation when another one comes. */
  readonly #roomForOne = new Set<string>();
  /** By engine: when its memory was found empty last. */
  readonly #emptiedAtMs = new Map<string, number>();

  constructor(engines: EngineRegistry, clock: Clock) {
    this.#engines = engines;
    this.#clock = clock;
  }

  /** The session that used a place of an engine last; null: not known. @param slot default: the engine's own place. */
  of(engine: string, slot: Place = 'own'): SessionId | null {
    return this.#holders.get(engine)?.get(slot) ?? null;
  }

  /** The slot that a session is being brought into, or had last; undefined: none, or the engine's own place. */
  slotOf(engine: string, id: SessionId): number | undefined {
    const place = this.#coming.get(keyOf(engine, id)) ?? this.#placesOf(engine, id)[0];
    return place === 'own' ? undefined : place;
  }

  /** A session is being brought into a slot, until the returned function is called. */
  comes(engine: string, id: SessionId, slot: number): () => void {
    const key = keyOf(engine, id);
    this.#coming.set(key, slot);
    return () => {
      if (this.#coming.get(key) === slot) this.#coming.delete(key);
    };
  }

  /** Each engine with the sessions that used its places last. */
  all(): readonly (readonly [engine: string, session: SessionId])[] {
    return [...this.#holders].flatMap(([engine, places]) =>
      [...places.values()].flatMap((id) => (id === null ? [] : [[engine, id] as const])),
    );
  }

  /** Whether the engine may have the session, as far as is known: no other one had each place that it was seen in. */
  mayHave(engine: string, id: SessionId): boolean {
    return (this.#holders.get(engine)?.size ?? 0) === 0 || this.#placesOf(engine, id).length > 0;
  }

  /** A request took a place. @param by null: it belongs to no session. @param slot default: the engine's own place. */
  took(engine: string, by: SessionId | null, slot: Place = 'own'): void {
    const places = this.#holders.get(engine) ?? new Map<Place, SessionId | null>();
    this.#holders.set(engine, places);
    if (by !== null) for (const place of this.#placesOf(engine, by)) places.set(place, null);
    places.set(slot, by);
    if (places.get('own') === null) places.delete('own');
  }

  /** The engine's memory was found empty: it was started again. */
  emptied(engine: string): void {
    this.#holders.delete(engine);
    this.#emptiedAtMs.set(engine, this.#clock.elapsedMs());
  }

  #placesOf(engine: string, id: SessionId): readonly Place[] {
    return [...(this.#holders.get(engine) ?? [])].flatMap(([place, holder]) => (holder === id ? [place] : []));
  }

  /** @param atMs by the monotonic clock. */
  wasEmptiedSince(engine: string, atMs: number): boolean {
    return (this.#emptiedAtMs.get(engine) ?? -1) >= atMs;
  }

  /** An engine was asked what it is. */
  describes(engine: string, kind: EngineKind): void {
    if (kind === 'llama-server') this.#roomForOne.add(engine);
    else this.#roomForOne.delete(engine);
  }

  hasRoomForOne(engine: string): boolean {
    return this.#roomForOne.has(engine);
  }

  /**
   * Whether the session used its engine last, and the engine was not started again since. One that has room for several conversations is not
   * asked. @throws the signal's reason, and nothing else.
   */
  async isHeldBy({ id, engine }: Pick<Session, 'id' | 'engine'>, signal: AbortSignal): Promise<boolean> {
    if (this.of(engine) !== id) return false;
    if (!this.hasRoomForOne(engine)) return true;
    const isUnused = await this.isUnused(engine, signal);
    if (isUnused) this.emptied(engine);
    return !isUnused;
  }

  /**
   * What its slots have; what is no longer there is forgotten. Null: it has none, or does not show them.
   *
   * @param ended as for {@link Engine.slots}. @throws CwmError of the engine.
   */
  async look(engine: string, signal: AbortSignal, ended?: number): Promise<readonly SlotState[] | null> {
    const slots = (await this.#engines.get(engine).slots?.(signal, ended)) ?? null;
    if (slots)
      for (const place of this.#holders.get(engine)?.keys() ?? [])
        if (place !== 'own' && !hasKept(slots, place)) this.took(engine, null, place);
    return slots;
  }

  /** Whether it was started again and had no request since; null where it does not answer. @throws the signal's reason, and nothing else. */
  isUnused(engine: string, signal: AbortSignal): Promise<boolean | null> {
    const asked = this.#engines.get(engine).isUnused?.(signal) ?? Promise.resolve(false);
    return unlessAborted(
      asked.catch(() => null),
      signal,
    );
  }
}

/** Whether a slot is there and has what another program's request put there, and the engine itself has not taken it since. */
const hasKept = (slots: readonly SlotState[], place: number): boolean =>
  slots.some(({ slot, isKept, isOwn }) => slot === place && isKept && !isOwn);
