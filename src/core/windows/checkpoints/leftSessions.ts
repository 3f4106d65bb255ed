import type { ProjectUri, SessionId } from '../../../protocol/ids.ts';
import type { Session } from '../../../protocol/schemas/session.ts';
import type { CoreContext } from '../../context.ts';
import { within } from '../../kv/saveInTime.ts';
import { notKept, type Kept } from './kept.ts';
import type { TurnedSessions } from './turnedSessions.ts';

/** What it needs of who makes the checkpoints. */
interface Keeper {
  /** Makes a session's checkpoint. Rejects only where the failure handler throws. */
  keep(id: SessionId): Promise<Kept>;
  /** How long a client waits that leaves, in milliseconds. */
  leaveMs(): number;
  isClosed(): boolean;
  /** Somebody waits for that when the backend ends. */
  track(work: Promise<unknown>): void;
}

/** Sessions that a client left, whose checkpoints are made at once, or as soon as nothing else comes first. */
export class LeftSessions {
  readonly #core: () => CoreContext;
  readonly #turned: TurnedSessions;
  readonly #keeper: Keeper;
  /** Those that could not be kept yet. */
  readonly #waiting = new Set<SessionId>();

  constructor(core: () => CoreContext, turned: TurnedSessions, keeper: Keeper) {
    this.#core = core;
    this.#turned = turned;
    this.#keeper = keeper;
  }

  /** Whether it was left and could not be kept yet. */
  has(id: SessionId): boolean {
    return this.#waiting.has(id);
  }

  /**
   * Before `opened` takes its model server: keeps the sessions of the project that the client leaves, and the session that the server has in
   * memory now, the last used first. Never rejects.
   */
  async leave(opened: Session | null, leaving: ProjectUri | null): Promise<void> {
    const { holders, store } = this.#core();
    for (const id of this.#turned.unsaved()) {
      if (this.#keeper.isClosed()) return;
      if (id === opened?.id) continue;
      const session = await store.sessions.get(id).catch(() => null);
      if (!session) continue;
      const isLeft = leaving !== null && session.project === leaving;
      const isDisplaced = opened?.engine === session.engine && holders.of(session.engine) === id;
      if (isLeft || isDisplaced) this.#waiting.add(id);
    }
    await this.keepAll();
  }

  /** As {@link leave}, for a caller that does not wait. */
  leaveSoon(leaving: ProjectUri): void {
    this.#keeper.track(this.leave(null, leaving));
  }

  /** Those that were not kept yet, the last used first. Never rejects. */
  async keepAll(): Promise<void> {
    for (const id of [...this.#waiting].sort((one, other) => this.#turned.atMs(other) - this.#turned.atMs(one))) {
      if (this.#keeper.isClosed()) return;
      // What came first must not wait for the next one either.
      if ((await this.#keep(id)).gaveWay) return;
    }
  }

  /** The session that a client leaves, within the policy's time: what has begun then continues without the caller. */
  async keepWithinTime(id: SessionId): Promise<Kept> {
    const work = this.#keep(id);
    this.#keeper.track(work);
    return within(this.#keeper.leaveMs(), work, () => notKept('Its checkpoint is still being made.'));
  }

  async #keep(id: SessionId): Promise<Kept> {
    this.#waiting.add(id);
    const kept = await this.#keeper.keep(id);
    if (!kept.gaveWay) this.#waiting.delete(id);
    return kept;
  }
}
