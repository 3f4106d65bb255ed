import type { SessionId } from '../../protocol/ids.ts';
import type { Session } from '../../protocol/schemas/session.ts';
import type { RecoveryPointSummary, RecoveryReason, VersionedState } from '../../protocol/schemas/tracker.ts';
import type { ConversationPlace, RecoveryPoint } from '../ports/states.ts';
import type { TrackerParts } from './trackerParts.ts';

/** Makes and lists the recovery points of one session (S3-08). */
export class RecoveryKeeper {
  readonly #parts: TrackerParts;
  readonly #session: SessionId;
  readonly #coalesceMs: number;
  /** The latest recovery point; undefined until it was read. */
  #latest: Kept | null | undefined;
  readonly #damaged = new Set<string>();

  constructor(parts: TrackerParts, session: SessionId, coalesceMs: number) {
    this.#parts = parts;
    this.#session = session;
    this.#coalesceMs = coalesceMs;
  }

  /** Latest first. `damaged` are the ids of those that were found damaged since the start: each is set aside only once. */
  async list(): Promise<{ points: readonly RecoveryPoint[]; damaged: readonly string[] }> {
    const { points, damaged } = await this.#parts.states.recoveryPoints(this.#session);
    for (const id of damaged) this.#damaged.add(id);
    return { points, damaged: [...this.#damaged] };
  }

  /**
   * Makes a recovery point before a change: the first time within `coalesceMs`, so that a burst of changes can be
   * undone as one. Does nothing when the session is empty, or the latest recovery point has the same content.
   */
  async keepBefore(reason: RecoveryReason, session: Session, state: VersionedState): Promise<void> {
    if (this.#latest === undefined) {
      const [point] = (await this.list()).points;
      this.#latest = point ? keptOf(point) : null;
    }
    const isKept = this.#latest?.content === contentKeyOf(state, session);
    if (this.#latest && (isKept || this.#isRecent(this.#latest))) return;
    if (state.version === 0 && Object.values(session.branches).every(({ length }) => length === 0)) return;
    await this.add(reason, state);
  }

  /** @param spared id of a recovery point that must stay, however old it is. */
  async add(
    reason: RecoveryReason,
    { version, lastUpdated, data, metadata }: VersionedState,
    spared?: string,
  ): Promise<RecoveryPoint> {
    const added = {
      id: this.#parts.newPointId(),
      session: this.#session,
      at: this.#parts.clock.now().toISOString(),
      reason,
      state: { version, lastUpdated, data, metadata },
    };
    const point = await this.#parts.states.addRecoveryPoint(added, spared);
    this.#latest = keptOf(point);
    return point;
  }

  /** False when the clock was set back: then its age is unknown. */
  #isRecent({ at }: Kept): boolean {
    const ageMs = this.#parts.clock.now().getTime() - Date.parse(at);
    return ageMs >= 0 && ageMs < this.#coalesceMs;
  }
}

export const summaryOf = ({ id, session, at, reason, state, conversation }: RecoveryPoint): RecoveryPointSummary => ({
  id,
  session,
  at,
  reason,
  version: state.version,
  messages: conversation.branches[conversation.activeBranch]?.length ?? 0,
  tokens: conversation.tokens?.count ?? 0,
});

/** The part of a recovery point that stays in memory: a hundred sessions' states would be too much. */
interface Kept {
  readonly at: string;
  readonly content: string;
}

const keptOf = ({ at, state, conversation }: RecoveryPoint): Kept => ({
  at,
  content: contentKeyOf(state, conversation),
});

/** Equal for equal content: a version has one content, and messages are only ever added to a branch. */
function contentKeyOf(state: VersionedState, at: Pick<ConversationPlace, 'branches' | 'activeBranch'>): string {
  const ends = Object.entries(at.branches).map(([name, { head }]) => [name, head]);
  return JSON.stringify([state.version, at.activeBranch, ends]);
}
