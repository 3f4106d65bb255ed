import type { SessionId } from '../../../protocol/ids.ts';

/** A session that had a turn in this process. */
interface Turned {
  /** When it was stored, by the monotonic clock, as all times here. */
  readonly atMs: number;
  /** When its answer ended, which the server had in its memory then: a turn of another program is stored later. */
  readonly answeredMs: number;
  /** Of its last checkpoint; null when this process made none. */
  readonly madeAtMs: number | null;
  /** After how much rest its checkpoint is made; undefined: as the policy says. */
  readonly restMs: number | undefined;
  /** What its server has of it; null: not known. */
  readonly heldTokens: number | null;
  readonly timer: ReturnType<typeof setTimeout> | undefined;
}

/** The sessions that had a turn in this process: when, whether a checkpoint has it, and what is to happen once they rest. */
export class TurnedSessions {
  readonly #nowMs: () => number;
  /** The one whose turn was last comes last. */
  readonly #turned = new Map<SessionId, Turned>();

  /** @param nowMs the monotonic clock. */
  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** It has a turn now. */
  turn(id: SessionId, { restMs, heldTokens, answeredMs }: Pick<Turned, 'restMs' | 'heldTokens' | 'answeredMs'>): void {
    const before = this.#turned.get(id);
    this.#turned.delete(id);
    const atMs = this.#nowMs();
    this.#turned.set(id, {
      atMs,
      answeredMs,
      madeAtMs: before?.madeAtMs ?? null,
      restMs,
      heldTokens,
      timer: before?.timer,
    });
  }

  /** A checkpoint has its last turn now. */
  saved(id: SessionId): void {
    const turned = this.#turned.get(id);
    if (!turned) return;
    clearTimeout(turned.timer);
    this.#turned.set(id, { ...turned, madeAtMs: this.#nowMs(), timer: undefined });
  }

  /** Whether it had a turn in this process, and no checkpoint since. */
  isUnsaved(id: SessionId): boolean {
    const turned = this.#turned.get(id);
    return turned !== undefined && (turned.madeAtMs === null || turned.madeAtMs < turned.atMs);
  }

  /** Those that had a turn and no checkpoint since, the last used first. */
  unsaved(): SessionId[] {
    return [...this.#turned.keys()].filter((id) => this.isUnsaved(id)).reverse();
  }

  /** When its last turn was; 0: it had none. */
  atMs(id: SessionId): number {
    return this.#turned.get(id)?.atMs ?? 0;
  }

  /** When the server had its last turn; 0: it had none. */
  answeredMs(id: SessionId): number {
    return this.#turned.get(id)?.answeredMs ?? 0;
  }

  /** How long ago its checkpoint was made; null when this process made none. */
  sinceSavedMs(id: SessionId): number | null {
    const madeAtMs = this.#turned.get(id)?.madeAtMs ?? null;
    return madeAtMs === null ? null : this.#nowMs() - madeAtMs;
  }

  /** As {@link turn} was told. */
  restMs(id: SessionId): number | undefined {
    return this.#turned.get(id)?.restMs;
  }

  /** As {@link turn} was told. */
  heldTokens(id: SessionId): number | null {
    return this.#turned.get(id)?.heldTokens ?? null;
  }

  /** Once it has rested for so long. It takes the place of what was planned before. @param afterMs 0: nothing is to happen. */
  plan(id: SessionId, afterMs: number, rested: () => void): void {
    const turned = this.#turned.get(id);
    if (!turned) return;
    clearTimeout(turned.timer);
    const timer = afterMs === 0 ? undefined : setTimeout(rested, afterMs);
    timer?.unref();
    this.#turned.set(id, { ...turned, timer });
  }

  /** There is no such session. */
  forget(id: SessionId): void {
    clearTimeout(this.#turned.get(id)?.timer);
    this.#turned.delete(id);
  }

  /** Nothing that was planned happens. */
  stop(): void {
    for (const { timer } of this.#turned.values()) clearTimeout(timer);
  }
}
