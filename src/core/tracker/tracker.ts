import { SerialQueue } from '../../base/serialQueue.ts';
import { CwmError, type ErrorName, nullOn } from '../../protocol/errors.ts';
import type { SessionId } from '../../protocol/ids.ts';
import type { Session } from '../../protocol/schemas/session.ts';
import type {
  RecoveryPointSummary,
  RestoreResult,
  SessionState,
  StateContent,
  SyncDirection,
  SyncResult,
} from '../../protocol/schemas/tracker.ts';
import { requireOpen } from '../lifecycle.ts';
import type { StatePeer, StoredState } from '../ports/states.ts';
import { RecoveryKeeper, summaryOf } from './recoveryKeeper.ts';
import { restorePoint } from './restorePoint.ts';
import type { RecoveryStrategy } from './selectPoint.ts';
import { contentOf, emptyState, laterStamp, sameContent } from './state.ts';
import { resolverOf } from './resolverOf.ts';
import { synchronize } from './synchronize.ts';
import type { TrackerConfig } from './trackerConfig.ts';
import type { TrackerParts } from './trackerParts.ts';
import { requireValid } from './validateState.ts';

/** The replacement for the state of the previous version. */
export interface NextState extends StateContent {
  readonly version: number;
}

/**
 * Holds the state of one session (S3-02). Its answers are on the disk. Changes run one after another, and each must name the version
 * that follows the stored one. No second tracker may change the same session.
 */
export class Tracker {
  readonly session: SessionId;
  readonly #parts: TrackerParts;
  readonly #queue = new SerialQueue();
  readonly #keeper: RecoveryKeeper;
  /** Undefined until it was read. */
  #stored: StoredState | undefined;
  #createdAt: string | undefined;

  constructor(parts: TrackerParts, session: SessionId, config: TrackerConfig) {
    this.session = session;
    this.#parts = parts;
    this.#keeper = new RecoveryKeeper(parts, session, config.coalesceMs);
  }

  /** A copy: changing it changes nothing. @throws CwmError SessionNotFound, Corrupted (damaged, and set aside). */
  getState(): Promise<SessionState> {
    return this.#queue.run(async () => await this.#view(await this.#current()));
  }

  /**
   * Replaces the state, if its version is still one less.
   *
   * @param sessionCreatedAt of the session that the caller read the state of. Default: not compared.
   * @throws CwmError VersionConflict when it is not (then nothing was changed), InvalidState, SessionNotFound, AlreadyFrozen (the
   *   session is frozen).
   */
  updateState(next: NextState, sessionCreatedAt?: string): Promise<SessionState> {
    return this.#queue.run(async () => {
      const content = contentOf(next);
      requireValid(content, this.#parts.validate);
      const current = await this.#current();
      if (next.version !== current.version + 1) throw this.#conflict(current.version, next.version);
      const session = await this.#changeable();
      if (sessionCreatedAt !== undefined && sessionCreatedAt !== session.createdAt) throw this.#replaced();
      await this.#keeper.keepBefore('update', session, current);
      const lastUpdated = laterStamp(this.#parts.clock.now(), current.lastUpdated);
      await this.#save(
        { ...structuredClone(content), version: next.version, lastUpdated, base: current.base },
        current,
      );
      return await this.#view(await this.#current());
    });
  }

  /** S3-06 */
  validateState(content: StateContent): boolean {
    return this.#parts.validate(content).length === 0;
  }

  /** Checks that the stored state can be read and is valid. @throws CwmError SessionNotFound. */
  isValid(): Promise<boolean> {
    return this.#queue.run(async () => {
      const current = await this.#currentUnless('Corrupted', 'UnsupportedSchema');
      return current !== null && this.validateState(current);
    });
  }

  /** Latest first, and the ids of those that turned out damaged. */
  recoveryPoints(): Promise<{ items: RecoveryPointSummary[]; damaged: string[] }> {
    return this.#queue.run(async () => {
      const { points, damaged } = await this.#keeper.list();
      return { items: points.map(summaryOf), damaged: [...damaged] };
    });
  }

  createRecoveryPoint(): Promise<RecoveryPointSummary> {
    return this.#queue.run(async () => summaryOf(await this.#keeper.add('request', await this.#current())));
  }

  /** Call it before a turn changes the conversation, inside the session's turn queue. */
  beforeTurn(session: Session): Promise<void> {
    return this.#queue.run(async () => {
      // A state that cannot be read does not stop a turn; reading the state reports the damage.
      const current = await this.#currentUnless('Corrupted', 'UnsupportedSchema');
      if (current) await this.#keeper.keepBefore('turn', session, current);
    });
  }

  /**
   * Sets state and conversation back to a recovery point. A damaged one is skipped for the next that fits, unless the caller named its
   * id.
   *
   * @param session the current record, at rest; nothing else may change it during the call.
   * @throws CwmError RecoveryPointNotFound when none fits, NoValidRecoveryPoint when all are damaged, RecoveryFailed when the named one
   *   is damaged.
   */
  restore(strategy: RecoveryStrategy, session: Session): Promise<RestoreResult> {
    return this.#queue.run(async () => {
      const current = await this.#currentUnless('Corrupted');
      const { stored, ...done } = await restorePoint(this.#parts, this.#keeper, { strategy, session, current });
      this.#stored = stored;
      return { ...done, state: await this.#view(stored) };
    });
  }

  /**
   * S3-05. When a part of it fails, the session's state is unchanged, and the call can be repeated.
   *
   * @param policy name of one that is built in or was given with the parts.
   * @throws CwmError InvalidParameter (no such policy), SyncConflict (manual, and both were changed), SyncFailed (the peer), InvalidState (the peer's state is not valid),
   *   AlreadyFrozen (frozen, and there is something to pull).
   */
  sync(peer: StatePeer, direction: SyncDirection, policy: string): Promise<SyncResult> {
    return this.#queue.run(async () => {
      const resolve = resolverOf(this.#parts.resolvers, policy);
      const current = await this.#current();
      const { next, ...result } = await synchronize({
        session: this.session,
        local: current,
        peer,
        direction,
        resolve,
        now: this.#parts.clock.now(),
        validate: this.#parts.validate,
        beforePull: async () => this.#keeper.keepBefore('update', await this.#changeable(), current),
      });
      if (next !== current) await this.#save(next, current);
      return { ...result, state: await this.#view(await this.#current()) };
    });
  }

  async #current(): Promise<StoredState> {
    this.#stored ??= (await this.#parts.states.load(this.session)) ?? {
      ...emptyState((await this.#parts.readSession(this.session)).createdAt),
      base: null,
    };
    return this.#stored;
  }

  /** Null when reading it fails with one of these errors. */
  async #currentUnless(...names: readonly [ErrorName, ...ErrorName[]]): Promise<StoredState | null> {
    return nullOn(this.#current(), ...names);
  }

  async #save(next: StoredState, current: StoredState): Promise<void> {
    // After a failure the state is read from the disk again rather than guessed.
    this.#stored = undefined;
    await this.#parts.states.save(this.session, next, current.version);
    this.#stored = next;
  }

  async #changeable(): Promise<Session> {
    const session = await this.#parts.readSession(this.session);
    requireOpen(session, this.#parts.clock.now());
    return session;
  }

  async #view({ base, ...state }: StoredState): Promise<SessionState> {
    const sessionCreatedAt = await this.#readCreatedAt();
    return {
      session: this.session,
      ...(sessionCreatedAt !== null && { sessionCreatedAt }),
      ...structuredClone(state),
      synchronized: base !== null && sameContent(base, state),
    };
  }

  /** Read once: a session that is created again gets another tracker. Null when the session's record is damaged. */
  async #readCreatedAt(): Promise<string | null> {
    this.#createdAt ??= (await nullOn(this.#parts.readSession(this.session), 'Corrupted'))?.createdAt;
    return this.#createdAt ?? null;
  }

  #replaced(): CwmError {
    return new CwmError(
      'VersionConflict',
      `Session "${this.session}" was deleted and created again since its state was read.`,
      { hint: 'Read the state of the new session, and decide whether your change belongs to it.' },
    );
  }

  #conflict(storedVersion: number, givenVersion: number): CwmError {
    return new CwmError(
      'VersionConflict',
      `The state of session "${this.session}" has version ${storedVersion}; an update must name ${storedVersion + 1}.`,
      { context: { storedVersion, givenVersion } },
    );
  }
}
