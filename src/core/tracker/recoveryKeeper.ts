import type { SessionId } from '../../protocol/ids.ts';
import type { Session } from '../../protocol/session.ts';
import type { RecoveryPointSummary, RecoveryReason, VersionedState } from '../../protocol/tracker.ts';
import type { RecoveryPoint } from '../ports/states.ts';
import type { TrackerParts } from './tracker.ts';

/** Makes the recovery points of one session (S3-08). */
export class RecoveryKeeper {
  readonly #parts: TrackerParts;
  readonly #session: SessionId;
  readonly #coalesceMs: number;
  /** Undefined until it was asked for. */
  #latest: RecoveryPoint | null | undefined;
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
   * Keeps the session as it is, before it is changed: the first time within {@link TrackerConfig.coalesceMs}, so that a burst of
   * changes can be undone as one. Nothing happens when there is nothing to keep, or the latest recovery point has it already.
   */
  async keepBefore(reason: RecoveryReason, session: Session, state: VersionedState): Promise<void> {
    this.#latest ??= (await this.list()).points[0] ?? null;
    if (this.#latest && (this.#isRecent(this.#latest) || holds(this.#latest, session, state))) return;
    if (state.version === 0 && Object.values(session.branches).every(({ messageIds }) => messageIds.length === 0))
      return;
    await this.add(reason, state);
  }

  async add(reason: RecoveryReason, { version, lastUpdated, data, metadata }: VersionedState): Promise<RecoveryPoint> {
    this.#latest = await this.#parts.states.addRecoveryPoint({
      id: this.#parts.newPointId(),
      session: this.#session,
      at: this.#parts.clock.now().toISOString(),
      reason,
      state: { version, lastUpdated, data, metadata },
    });
    return this.#latest;
  }

  /** Not when the clock was set back: then nobody knows how long ago it was. */
  #isRecent({ at }: RecoveryPoint): boolean {
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
  messages: conversation.branches[conversation.activeBranch]?.messageIds.length ?? 0,
  tokens: conversation.tokens?.count ?? 0,
});

/** Messages are only ever added to a branch, so that as many are the same. */
function holds({ state, conversation }: RecoveryPoint, session: Session, current: VersionedState): boolean {
  const sizes = (branches: Session['branches']): string =>
    JSON.stringify(
      Object.entries(branches).map(([name, { messageIds }]) => [name, messageIds.length, messageIds.at(-1)]),
    );
  return (
    state.version === current.version &&
    conversation.activeBranch === session.activeBranch &&
    sizes(conversation.branches) === sizes(session.branches)
  );
}
