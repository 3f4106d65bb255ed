import { unlessAborted } from '../../../base/unlessAborted.ts';
import { CwmError, isCwmError, toCwmError } from '../../../protocol/errors.ts';
import type { SessionId } from '../../../protocol/ids.ts';
import type { LastEnd } from '../../../protocol/backendRecord.ts';
import type { CheckpointReason } from '../../../protocol/schemas/checkpoint.ts';
import type { Receipt } from '../../../protocol/schemas/receipt.ts';
import type { Session } from '../../../protocol/schemas/session.ts';
import type { CoreContext } from '../../context.ts';
import { within } from '../../kv/saveInTime.ts';
import { saveBeforeEnd } from './saveBeforeEnd.ts';
import { defaultCheckpointPolicy, SavingCosts, weighSize, type CheckpointPolicy } from './checkpointPolicy.ts';
import { gaveWay, notKept, type Kept } from './kept.ts';
import { LeftSessions } from './leftSessions.ts';
import { SlotSaves } from './slotSaves.ts';
import { TurnedSessions } from './turnedSessions.ts';
import { hasCheckpointable, isBehind, makeCheckpoint, type SessionWithContext } from './rollingCheckpoint.ts';

/** After something came before the checkpoint of a session that was left: the model server may lose its KV soon. */
const leftAgainMs = 5000;

/** `displaced`: its server loses the session now, so that it gives way to nothing. `routine`: the session goes on, and has the next one soon. */
type Occasion = 'wanted' | 'displaced' | 'routine';

/** Where a whole file is written each time, its cost grows with the context: of the time of a session that goes on, at most this part is saving. */
const mostOfTime = 0.05;

/** Of a request of another program. */
interface Passing {
  readonly engine: string;
  readonly slot: number | undefined;
}

/** Whether an operation ended before a model server computed anything of it. */
const isRefusal = (failure: unknown): boolean =>
  isCwmError(failure, 'EngineUnavailable', 'ModelMismatch') ||
  (isCwmError(failure) && /^CWM-[12378]/.test(failure.code));

/**
 * Makes the rolling checkpoints of sessions, without being asked for (S0-16, D6): when a session's size triggers one, when it has been idle,
 * when somebody leaves it, and when the backend ends. A checkpoint gives way to every turn, and its failure costs nobody anything.
 */
export class CheckpointKeeper {
  readonly #core: () => CoreContext;
  readonly #onFailure: (error: unknown) => void;
  readonly #onKvWritten: () => void;
  #policy: CheckpointPolicy;
  #isClosed = false;
  readonly #turned: TurnedSessions;
  /** Requests of other programs that run past this core. */
  readonly #passing = new Set<Passing>();
  /** Those that a server is asked to write for {@link leavePlace}, until they are recorded: whether it wrote. */
  readonly #leaving = new Map<SessionId, Promise<boolean>>();
  readonly #costs = new SavingCosts();
  readonly #slotSaves: SlotSaves;
  /** Those that somebody left. */
  readonly left: LeftSessions;
  readonly #running = new Set<Promise<unknown>>();

  /** @param onKvWritten called after each attempt that may have made an engine write KV. */
  constructor(
    core: () => CoreContext,
    policy: Partial<CheckpointPolicy>,
    onFailure: (error: unknown) => void,
    onKvWritten: () => void,
  ) {
    this.#core = core;
    this.#slotSaves = new SlotSaves(core);
    this.#turned = new TurnedSessions(() => core().clock.elapsedMs());
    this.#policy = { ...defaultCheckpointPolicy, ...policy };
    this.left = new LeftSessions(core, this.#turned, {
      keep: (id) => this.keep(id),
      isClosed: () => this.#isClosed,
      leaveMs: () => this.#policy.leaveMs,
      track: (work) => this.#track(work),
    });
    this.#onKvWritten = onKvWritten;
    this.#onFailure = onFailure;
  }

  get policy(): CheckpointPolicy {
    return this.#policy;
  }

  /** Until the backend ends. */
  configure(change: Partial<CheckpointPolicy>): CheckpointPolicy {
    return (this.#policy = { ...this.#policy, ...change });
  }

  /**
   * Call it after each operation that may have been a turn of the session.
   *
   * @param failure what it failed with; null: it succeeded. A model server that it never reached has what it had.
   */
  afterTurn(id: SessionId, failure: unknown = null): void {
    if (this.#isClosed) return;
    if (
      isRefusal(failure) &&
      !this.#core()
        .holders.all()
        .some(([, holder]) => holder === id)
    )
      return;
    this.#turn(id, { restMs: undefined, heldTokens: null, answeredMs: this.#core().clock.elapsedMs() });
    this.#track(this.#makeIfLarge(id, true));
  }

  /**
   * After a turn that another program asked for. Nobody says when its session is left, so that its checkpoint must not wait for that.
   *
   * @param isVolatile only the server's memory has its KV, and the next conversation takes that.
   * @param heldTokens that the server has of it; null: it did not tell.
   * @param answeredMs when its answer ended, by the monotonic clock: it is stored later, and the server may have ended in between.
   */
  afterOutsideTurn(
    id: SessionId,
    isVolatile: boolean,
    { heldTokens, answeredMs }: { readonly heldTokens: number | null; readonly answeredMs: number },
  ): void {
    if (this.#isClosed) return;
    this.#turn(id, { restMs: isVolatile ? this.#policy.volatileRestMs : undefined, heldTokens, answeredMs });
    // Another program's next request may have the engine already.
    this.#track(this.#makeIfLarge(id, false));
  }

  #turn(id: SessionId, turned: Parameters<TurnedSessions['turn']>[1]): void {
    this.#turned.turn(id, turned);
    this.#later(id, this.#policy.idleMs === 0 ? 0 : (turned.restMs ?? this.#policy.idleMs));
  }

  /**
   * Until the returned function is called, a request of another program uses a model server: no checkpoint is made beside it. @param slot of the
   * server, whose other slots it leaves alone; undefined: it may use any.
   */
  passing(engine: string, slot: number | undefined): () => void {
    const passing = { engine, slot };
    this.#passing.add(passing);
    return () => void this.#passing.delete(passing);
  }

  /** Whether a request that passes uses only slots where a session is not. */
  isBeside({ engine, slot }: Passing, id: SessionId): boolean {
    const own = slot === undefined ? undefined : this.#core().holders.slotOf(engine, id);
    return own !== undefined && own !== slot;
  }

  /** Whether it had a turn in this process, and no checkpoint since. */
  isUnsaved(id: SessionId): boolean {
    return this.#turned.isUnsaved(id);
  }

  /** Whether the engine should still have the session's last turn in its memory, and no checkpoint has it. */
  isOnlyInMemory({ id, engine }: Pick<Session, 'id' | 'engine'>): boolean {
    const isLost = this.#core().holders.wasEmptiedSince(engine, this.#turned.answeredMs(id));
    return this.isUnsaved(id) && !isLost && !this.#isDisplaced(id, engine);
  }

  /** The engine has no more room than for those that took it. */
  #isDisplaced(id: SessionId, engine: string): boolean {
    return this.#isVolatile(id, engine) && !this.#core().holders.mayHave(engine, id);
  }

  /** Whether an engine may lose a conversation of which no checkpoint was made, when this one comes. */
  mayDisplace(id: SessionId | null): boolean {
    if (!this.#policy.enabled) return false;
    return this.#core()
      .holders.all()
      .some(([engine, holder]) => holder !== id && this.#isLostBy(engine, holder));
  }

  /** Whether only this engine's memory has the session's last turn, and has room for no other. */
  #isLostBy(engine: string, id: SessionId): boolean {
    return this.isUnsaved(id) && this.#isVolatile(id, engine);
  }

  #isVolatile(id: SessionId, engine: string): boolean {
    return this.#turned.restMs(id) !== undefined || this.#core().holders.hasRoomForOne(engine);
  }

  /**
   * Before another conversation takes a server that has room for one: saves what the server has in memory. The caller waits for that at most as
   * long as computing it again takes.
   *
   * @param by whose turn it is; null: of none that is known. @param slot which it takes; undefined: the server's only one, or the engine's own.
   * @throws the signal's reason, and nothing else.
   */
  async saveDisplaced(engine: string, by: SessionId | null, signal: AbortSignal, slot?: number): Promise<void> {
    const { background, holders, prefill, store } = this.#core();
    const holder = holders.of(engine, slot);
    if (holder === null || holder === by || !this.#isLostBy(engine, holder)) return;
    const isUnused = await holders.isUnused(engine, signal);
    // One that does not tell may have it still: a later try finds out.
    if (isUnused === null) return;
    // One that was started again would have to compute what is to be saved.
    if (isUnused) return holders.emptied(engine);
    const held = await store.sessions.get(holder).catch(() => null);
    const limitMs = prefill.expectedMs(engine, held?.tokens?.count ?? 0) ?? this.#policy.leaveMs;
    let isLate = false;
    const saving = background.ended(holder, signal).then(() => (isLate ? gaveWay : this.#keep(holder, 'displaced')));
    this.#track(saving.catch(() => undefined));
    const late = (): Promise<void> => {
      // What is stopped may be an earlier checkpoint, behind which this one would begin beside the caller's request.
      isLate = true;
      return background.stop(holder);
    };
    await unlessAborted(within(limitMs, saving, late), signal);
  }

  /**
   * As {@link saveDisplaced}, where the server can write what it has as it is: the caller waits for that alone. What else a checkpoint takes is done
   * afterwards, beside the conversation that came; a turn of the session waits for it.
   *
   * @param tokens that the server should have of it. @param stored waits until the session's last turn is stored. @param slot as for {@link saveDisplaced}.
   * @returns whether the server wrote it. @throws the signal's reason, and nothing else.
   */
  async leavePlace(
    engine: string,
    {
      tokens,
      stored,
      slot,
    }: { readonly tokens: number; readonly stored: () => Promise<void>; readonly slot?: number | undefined },
    signal: AbortSignal,
  ): Promise<boolean> {
    const { background, holders } = this.#core();
    const id = holders.of(engine, slot);
    if (id === null || tokens < 1 || !this.#policy.enabled) return false;
    // What is wrong with the holder is no fault of the one that comes.
    const held = await this.#slotSaves.heldOf(id, { engine, slot, tokens }).catch(() => null);
    if (!held || this.#isClosed) return false;
    // Another request has it written. What is left to do then waits for that request, which may wait for this one.
    const leaving = this.#leaving.get(id);
    if (leaving) return unlessAborted(leaving, signal);
    if (background.isRunning(id)) return false;
    const { promise: isLeft, resolve } = Promise.withResolvers<boolean>();
    this.#leaving.set(id, isLeft);
    const work = background.run(id, false, async (abort) => {
      const receipt = await this.#slotSaves.save(id, held, { written: resolve, stored }, abort);
      if (receipt) this.#turned.saved(id);
    });
    this.#track(
      work
        .catch(this.#onFailure)
        .catch(() => undefined)
        .finally(() => {
          resolve(false);
          this.#leaving.delete(id);
          this.#onKvWritten();
        }),
    );
    return unlessAborted(isLeft, signal);
  }

  /**
   * When a session that rests may be saved as its server has it, which takes a part of what a checkpoint does. As {@link #untilDueMs}; null: it cannot
   * be saved so.
   */
  #untilHeldDueMs({ id, engine }: SessionWithContext): number | null {
    const tokens = this.#turned.heldTokens(id);
    const { holders } = this.#core();
    if (tokens === null || tokens < 1 || holders.of(engine, holders.slotOf(engine, id)) !== id) return null;
    return this.#untilDueMs(id, this.#slotSaves.expectedMs(engine, tokens));
  }

  /** Null: it was not done. */
  async #saveResting({ id, engine }: SessionWithContext, signal: AbortSignal): Promise<Receipt | null> {
    const slot = this.#core().holders.slotOf(engine, id);
    const held = await this.#slotSaves.heldOf(id, { engine, slot, tokens: this.#turned.heldTokens(id) ?? 0 });
    const receipt = held && (await this.#slotSaves.save(id, held, null, signal).finally(() => this.#onKvWritten()));
    if (receipt) this.#turned.saved(id);
    return receipt;
  }

  /** Makes a checkpoint if the session has gone on and it pays. Rejects only where the failure handler throws. */
  keep(id: SessionId): Promise<Kept> {
    return this.#keep(id, 'wanted');
  }

  async #keep(id: SessionId, occasion: Occasion): Promise<Kept> {
    const isDisplaced = occasion === 'displaced';
    const { background, turns, running } = this.#core();
    if (!this.#policy.enabled) return notKept('Checkpoints are off.');
    if (background.isRunning(id) || turns.isBusy(id)) return notKept('The session is busy.');
    if (!this.isUnsaved(id)) return notKept('Nothing changed since its last checkpoint.');
    // On the same model server it would wait for that turn, or take the memory from under it.
    if (!isDisplaced && (running.size > 0 || [...this.#passing].some((each) => !this.isBeside(each, id)))) {
      this.#again(id);
      return gaveWay;
    }
    try {
      return await background.run(id, !isDisplaced, (signal) => this.#make(id, occasion, signal));
    } catch (error) {
      const failure = toCwmError(error);
      if (failure.name === 'Cancelled') {
        this.#again(id);
        return gaveWay;
      }
      // A model server that is away is no fault of this process, and its next checkpoint comes after the next turn.
      // Nor is one that serves another model now.
      if (failure.name !== 'EngineUnavailable' && !(isDisplaced && failure.name === 'ModelMismatch'))
        this.#onFailure(error);
      return notKept(failure.message);
    }
  }

  /** What {@link weighSize} says of a session, with the facts that it weighs. */
  async check(session: Session): Promise<{
    readonly triggered: boolean;
    readonly reason: CheckpointReason;
    readonly isChanged: boolean;
  }> {
    const isChanged =
      hasCheckpointable(session) && isBehind(await this.#core().store.checkpoints.get(session.id), session);
    return { ...this.#weigh(session, isChanged), isChanged };
  }

  /** Resolves when nothing runs that nobody waits for. */
  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  /**
   * Saves what it can within the policy's time. Which sessions were not saved in time is a failure that names them.
   *
   * @returns those, with what that costs, and the time that there was; null where nothing was lost.
   */
  async close(): Promise<Omit<LastEnd, 'pid'> | null> {
    this.#turned.stop();
    this.#isClosed = true;
    const core = this.#core();
    await core.background.stopAll();
    const { enabled, shutdownMs: limitMs } = this.#policy;
    const ids = enabled && limitMs > 0 ? this.#turned.unsaved() : [];
    const lost = await saveBeforeEnd(core, ids, this.#costs, limitMs, this.#keepUntil);
    await this.settled();
    if (lost.length === 0) return null;
    const named = lost.map(({ session }) => session).join(', ');
    this.#onFailure(
      new CwmError(
        'EngineTimeout',
        `KV was not saved within the ${limitMs / 1000} s before the backend ended: ${named}.`,
      ),
    );
    return { limitMs, unsaved: lost };
  }

  /** @returns whether it was stopped at the end of its time, and is not saved. */
  readonly #keepUntil = async (id: SessionId, allowedMs: number): Promise<boolean> => {
    let isLate = false;
    const stop = (): Promise<void> => {
      isLate = true;
      return this.#core().background.stop(id);
    };
    await within(allowedMs, this.keep(id), stop);
    return isLate && this.isUnsaved(id);
  };

  async #make(id: SessionId, occasion: Occasion, signal: AbortSignal): Promise<Kept> {
    const core = this.#core();
    const session = await core.store.sessions.get(id);
    if (!session || !hasCheckpointable(session)) return notKept('There is nothing to make a checkpoint of.');
    const whyNever = await core.recording.whyNot(session);
    if (whyNever !== null) return notKept(whyNever);
    if (!isBehind(await core.store.checkpoints.get(id), session)) {
      this.#turned.saved(id);
      return notKept('Nothing changed since its last checkpoint.');
    }
    const costMs = this.#costs.expectedMs(session.engine, session.tokens.count);
    const waitMs = occasion === 'routine' ? this.#untilDueMs(id, costMs) : 0;
    if (waitMs > 0) {
      const heldMs = this.#untilHeldDueMs(session);
      const resting = heldMs !== null && heldMs <= 0 ? await this.#saveResting(session, signal) : null;
      if (resting) return { receipt: resting, why: null };
      const { idleMs } = this.#policy;
      const nextMs = heldMs !== null && heldMs > 0 ? Math.min(waitMs, heldMs) : waitMs;
      // One that rests is saved when it always was: it does not go on.
      if (idleMs > 0) this.#later(id, this.#turned.restMs(id) === undefined ? Math.min(nextMs, idleMs) : nextMs);
      return notKept('It was saved a moment ago, and saving takes long.');
    }
    const why = await this.#whyNotWorth(session, signal);
    if (why !== null) return notKept(why);
    const receipt = await makeCheckpoint(core, id, signal).finally(() => this.#onKvWritten());
    if (!receipt) return notKept('There is nothing to make a checkpoint of.');
    this.#turned.saved(id);
    this.#costs.spent(session.engine, receipt);
    core.holders.took(session.engine, id, core.holders.slotOf(session.engine, id));
    return { receipt, why: null };
  }

  /**
   * How long the next one of a session waits that goes on, so that saving takes little of its time. In milliseconds; 0 or less: it is due.
   *
   * @param costMs of saving; null: not known.
   */
  #untilDueMs(id: SessionId, costMs: number | null): number {
    const sinceMs = this.#turned.sinceSavedMs(id);
    return sinceMs === null || costMs === null ? 0 : costMs / mostOfTime - sinceMs;
  }

  /** llama-server writes a whole slot file each time, and only of what its slot has; a server without any way to save KV gets no request. */
  async #whyNotWorth(session: SessionWithContext, signal: AbortSignal): Promise<string | null> {
    const { id, engine, tokens } = session;
    const { engines, holders, prefill } = this.#core();
    const { kind } = await engines.get(engine).describe(signal);
    if (kind === 'openai') return 'The model server cannot save KV.';
    holders.describes(engine, kind);
    if (kind !== 'llama-server') return null;
    if (holders.slotOf(engine, id) !== undefined) await holders.look(engine, signal);
    if (!holders.mayHave(engine, id)) return 'The model server has another conversation in its memory.';
    if (!this.isOnlyInMemory(session)) return 'The model server was started again since its last turn.';
    return this.#costs.pays(engine, tokens.count, prefill.expectedMs(engine, tokens.count))
      ? null
      : 'Computing the context again costs less than saving it.';
  }

  async #makeIfLarge(id: SessionId, isHolder: boolean): Promise<void> {
    const { holders, store } = this.#core();
    const session = await store.sessions.get(id).catch(() => null);
    // The operation named a session that is not there.
    if (!session) return this.#turned.forget(id);
    if (isHolder) holders.took(session.engine, id);
    if (!hasCheckpointable(session) || !this.#weigh(session, true).triggered) return;
    await this.#keep(id, 'routine');
  }

  #weigh(session: Session, isChanged: boolean) {
    return weighSize(this.#policy, {
      tokens: session.tokens?.count ?? 0,
      limitTokens: session.model?.maxModelLen ?? null,
      isChanged,
      sinceLastMs: this.#turned.sinceSavedMs(session.id),
    });
  }

  #again(id: SessionId): void {
    const restMs = this.#turned.restMs(id) ?? Math.max(1, this.#policy.cooldownMs);
    this.#later(id, this.left.has(id) ? leftAgainMs : restMs);
  }

  #later(id: SessionId, afterMs: number): void {
    if (this.#isClosed) return;
    const rested = (): Promise<unknown> =>
      this.left.has(id)
        ? this.left.keepAll()
        : this.#keep(id, this.#turned.restMs(id) === undefined ? 'wanted' : 'routine');
    this.#turned.plan(id, afterMs, () => this.#track(rested()));
  }

  #track(work: Promise<unknown>): void {
    this.#running.add(work);
    void work.finally(() => this.#running.delete(work));
  }
}
