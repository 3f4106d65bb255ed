import type { Clock } from '../../../base/clock.ts';
import { unlessAborted } from '../../../base/unlessAborted.ts';
import type { SessionId } from '../../../protocol/ids.ts';
import type { Session } from '../../../protocol/schemas/session.ts';
import type { EngineKind } from '../../ports/engine.ts';
import type { EngineRegistry } from '../../ports/engineRegistry.ts';

/** Which session each model server has in its memory, as far as this process knows. */
export class EngineHolders {
  readonly #engines: EngineRegistry;
  readonly #clock: Clock;
  /** By engine: the session that used it last. */
  readonly #holders = new Map<string, SessionId>();
  /** Engines that lose a conversation when another one comes. */
  readonly #roomForOne = new Set<string>();
  /** By engine: when its memory was found empty last. */
  readonly #emptiedAtMs = new Map<string, number>();

  constructor(engines: EngineRegistry, clock: Clock) {
    this.#engines = engines;
    this.#clock = clock;
  }

  /** The session that used an engine last; null: not known. */
  of(engine: string): SessionId | null {
    return this.#holders.get(engine) ?? null;
  }

  /** Each engine with the session that used it last. */
  all(): readonly (readonly [engine: string, session: SessionId])[] {
    return [...this.#holders];
  }

  /** A request took the engine. @param by null: it belongs to no session. */
  took(engine: string, by: SessionId | null): void {
    if (by === null) this.#holders.delete(engine);
    else this.#holders.set(engine, by);
  }

  /** The engine's memory was found empty: it was started again. */
  emptied(engine: string): void {
    this.#holders.delete(engine);
    this.#emptiedAtMs.set(engine, this.#clock.elapsedMs());
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

  /** Whether it was started again and had no request since; null where it does not answer. @throws the signal's reason, and nothing else. */
  isUnused(engine: string, signal: AbortSignal): Promise<boolean | null> {
    const asked = this.#engines.get(engine).isUnused?.(signal) ?? Promise.resolve(false);
    return unlessAborted(
      asked.catch(() => null),
      signal,
    );
  }
}
