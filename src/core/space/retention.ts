import type { Clock } from '../../base/clock.ts';
import type { SessionId } from '../../protocol/ids.ts';
import type { Session } from '../../protocol/schemas/session.ts';
import type { Store } from '../ports/store.ts';
import { lastUsedAt } from './windowUses.ts';

const dayMs = 86_400_000;
/** Between two sweeps, in milliseconds. */
const sweepMs = 3_600_000;

interface Parts {
  readonly store: Store;
  readonly clock: Clock;
  /** 0: nothing is ever removed. */
  readonly days: number;
  /** Moves the session to the trash with its windows, unless `isStill` says no of it by then. */
  readonly remove: (id: SessionId, isStill: (session: Session) => Promise<boolean>) => Promise<void>;
  /** Gets the error; the next sweep tries again. */
  readonly onFailure: (error: unknown) => void;
}

/**
 * Moves sessions to the trash that nobody used for so many days: neither a turn nor a thaw of one of their windows. A session with a pinned window
 * stays, and so does the base of a project, which is one. While the clock may be wrong, none is moved.
 */
export class Retention {
  readonly #parts: Parts;
  readonly #ended = new AbortController();
  #timer: ReturnType<typeof setInterval> | undefined;
  #last: Promise<unknown> = Promise.resolve();

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Sweeps now and each hour. A second call changes nothing. */
  start(): void {
    if (this.#parts.days === 0 || this.#timer) return;
    this.#timer = setInterval(() => this.#sweepSafely(), sweepMs);
    this.#timer.unref?.();
    this.#sweepSafely();
  }

  async settled(): Promise<void> {
    await this.#last;
  }

  /** Resolves when a sweep that runs has removed its present session. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#ended.abort();
    await this.#last;
  }

  /** @returns how many sessions it removed. One that cannot be removed does not keep the others. */
  async sweep(): Promise<number> {
    const { store, remove, onFailure } = this.#parts;
    let removed = 0;
    // A clock that is months ahead for one start would make every session old, and KV cannot be restored from the trash.
    if (!(await store.space.isClockSteady())) return removed;
    for (const { id, version } of await this.#unused()) {
      if (this.#ended.signal.aborted) return removed;
      try {
        await remove(id, async (session) => session.version === version && (await this.#isUnused(session)));
        if ((await store.sessions.get(id)) === null) removed++;
      } catch (error) {
        onFailure(error);
      }
    }
    return removed;
  }

  async #unused(): Promise<Session[]> {
    const { store } = this.#parts;
    const found: Session[] = [];
    for (let offset = 0; ;) {
      const { items, total } = await store.sessions.list({ limit: 100, offset });
      offset += items.length;
      for (const session of items) if (await this.#isUnused(session)) found.push(session);
      if (items.length === 0 || offset >= total) return found;
    }
  }

  async #isUnused({ id, updatedAt }: Session): Promise<boolean> {
    const { store, clock, days } = this.#parts;
    const before = new Date(Math.max(0, clock.now().getTime() - days * dayMs)).toISOString();
    if (updatedAt >= before) return false;
    for (let offset = 0; ;) {
      const { items, total } = await store.windows.list({
        session: id,
        sortBy: 'name',
        order: 'asc',
        limit: 100,
        offset,
      });
      offset += items.length;
      if (items.some((window) => window.pinned || lastUsedAt(window) >= before)) return false;
      if (items.length === 0 || offset >= total) return true;
    }
  }

  #sweepSafely(): void {
    this.#last = this.#last.then(() => this.sweep()).catch((error: unknown) => this.#parts.onFailure(error));
  }
}
