import { unlessAborted } from '../../../base/unlessAborted.ts';
import { CwmError, isCwmError, toCwmError } from '../../../protocol/errors.ts';
import type { ProjectUri, SessionId } from '../../../protocol/ids.ts';
import type { LastEnd } from '../../../protocol/backendRecord.ts';
import type { CheckpointReason } from '../../../protocol/schemas/checkpoint.ts';
import type { Receipt } from '../../../protocol/schemas/receipt.ts';
import type { Session } from '../../../protocol/schemas/session.ts';
import type { CoreContext } from '../../context.ts';
import { saveInTime, type Unsaved } from '../../kv/saveInTime.ts';
import type { EngineKind } from '../../ports/engine.ts';
import { defaultCheckpointPolicy, SavingCosts, weighSize, type CheckpointPolicy } from './checkpointPolicy.ts';
import { hasCheckpointable, isBehind, makeCheckpoint, type SessionWithContext } from './rollingCheckpoint.ts';

/** What became of an attempt: one of both is null. */
export interface Kept {
  readonly receipt: Receipt | null;
  /** Why no checkpoint was made, in plain words. */
  readonly why: string | null;
}

/** A session that had a turn in this process. */
interface Turned {
  /** By the monotonic clock, as all times here. */
  readonly atMs: number;
  /** Of its last checkpoint; null when this process made none. */
  readonly madeAtMs: number | null;
  /** After how much rest its checkpoint is made; undefined: as the policy says. */
  readonly restMs: number | undefined;
  readonly timer: ReturnType<typeof setTimeout> | undefined;
}

const not = (why: string): Kept => ({ receipt: null, why });
const gaveWay = 'Something else came first.';
/** After something came before the checkpoint of a session that was left: the model server may lose its KV soon. */
const leftAgainMs = 5000;

/**
 * Why a checkpoint is made. `displaced`: its server loses the session now, so that it gives way to nothing. `routine`: the session goes on, and
 * has the next one soon.
 */
type Occasion = 'wanted' | 'displaced' | 'routine';

/** Where a whole file is written each time, its cost grows with the context: of the time of a session that goes on, at most this part is saving. */
const mostOfTime = 0.05;

/** Whether an operation ended before a model server computed anything of it. */
const isRefusal = (failure: unknown): boolean =>
  isCwmError(failure, 'EngineUnavailable', 'ModelMismatch') ||
  (isCwmError(failure) && /^CWM-[12378]/.test(failure.code));

/** What the work comes to, or, after that many milliseconds, what `late` does. */
async function within<T, Late>(ms: number, work: Promise<T>, late: () => Late | Promise<Late>): Promise<T | Late> {
  const { promise: time, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  return Promise.race([work, time.then(late)]).finally(() => clearTimeout(timer));
}

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
  /** The one whose turn was last comes last. */
  readonly #turned = new Map<SessionId, Turned>();
  /** By engine: the session that used it last. */
  readonly #holders = new Map<string, SessionId>();
  /** Engines that lose a conversation when another one comes. */
  readonly #roomForOne = new Set<string>();
  /** By engine: when its memory was found empty last. */
  readonly #emptiedAtMs = new Map<string, number>();
  /** Requests of other programs that run past this core. */
  #passing = 0;
  readonly #costs = new SavingCosts();
  /** Projects of which nothing is kept. */
  readonly #unrecorded = new Set<ProjectUri>();
  /** Those that somebody left and that could not be kept then. */
  readonly #left = new Set<SessionId>();
  readonly #running = new Set<Promise<unknown>>();

  /** @param onKvWritten called after each attempt that may have made an engine write KV. */
  constructor(
    core: () => CoreContext,
    policy: Partial<CheckpointPolicy>,
    onFailure: (error: unknown) => void,
    onKvWritten: () => void,
  ) {
    this.#core = core;
    this.#policy = { ...defaultCheckpointPolicy, ...policy };
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

  /** Whether sessions of this project are kept, until this is called again or the backend ends. Default: they are. */
  record(project: ProjectUri, isRecorded: boolean): void {
    if (isRecorded) this.#unrecorded.delete(project);
    else this.#unrecorded.add(project);
  }

  /** Nor where the user said so for good. */
  async isRecorded(project: ProjectUri): Promise<boolean> {
    return !this.#unrecorded.has(project) && (await this.#core().store.projects.isRecorded(project));
  }

  /**
   * Call it after each operation that may have been a turn of the session.
   *
   * @param failure what it failed with; null: it succeeded. A model server that it never reached has what it had.
   */
  afterTurn(id: SessionId, failure: unknown = null): void {
    if (this.#isClosed) return;
    if (isRefusal(failure) && ![...this.#holders.values()].includes(id)) return;
    this.#turn(id, undefined);
    this.#track(this.#makeIfLarge(id, true));
  }

  /**
   * After a turn that another program asked for. Nobody says when its session is left, so that its checkpoint must not wait for that.
   *
   * @param isVolatile only the server's memory has its KV, and the next conversation takes that.
   */
  afterOutsideTurn(id: SessionId, isVolatile: boolean): void {
    if (this.#isClosed) return;
    this.#turn(id, isVolatile ? this.#policy.volatileRestMs : undefined);
    // Another program's next request may have the engine already.
    this.#track(this.#makeIfLarge(id, false));
  }

  #turn(id: SessionId, restMs: number | undefined): void {
    const before = this.#turned.get(id);
    this.#turned.delete(id);
    const atMs = this.#core().clock.elapsedMs();
    this.#turned.set(id, { atMs, madeAtMs: before?.madeAtMs ?? null, restMs, timer: before?.timer });
    this.#later(id, this.#policy.idleMs === 0 ? 0 : (restMs ?? this.#policy.idleMs));
  }

  /** Until the returned function is called, a request of another program uses a model server: no checkpoint is made beside it. */
  passing(): () => void {
    this.#passing++;
    return () => void this.#passing--;
  }

  /** The session that used an engine last; null: not known. */
  holderOf(engine: string): SessionId | null {
    return this.#holders.get(engine) ?? null;
  }

  /** A request takes the engine that no operation of this core sends. @param by null: it belongs to no session. */
  tookEngine(engine: string, by: SessionId | null): void {
    if (by === null) this.#holders.delete(engine);
    else this.#holders.set(engine, by);
  }

  /** The session's KV was brought back. */
  warmed({ id, engine }: Session): void {
    this.#holders.set(engine, id);
  }

  /** Whether it had a turn in this process, and no checkpoint since. */
  isUnsaved(id: SessionId): boolean {
    const turned = this.#turned.get(id);
    return turned !== undefined && (turned.madeAtMs === null || turned.madeAtMs < turned.atMs);
  }

  /** The engine's memory was found empty: it was started again. */
  emptied(engine: string): void {
    this.#holders.delete(engine);
    this.#emptiedAtMs.set(engine, this.#core().clock.elapsedMs());
  }

  /** Whether the engine should still have the session's last turn in its memory, and no checkpoint has it. */
  isOnlyInMemory({ id, engine }: Pick<Session, 'id' | 'engine'>): boolean {
    const isKeptSince = this.#atMs(id) > (this.#emptiedAtMs.get(engine) ?? -1);
    return this.isUnsaved(id) && isKeptSince && !this.#isDisplaced(id, engine);
  }

  /** The engine has room for one conversation, and another one took it. */
  #isDisplaced(id: SessionId, engine: string): boolean {
    return this.#isVolatile(id, engine) && (this.#holders.get(engine) ?? id) !== id;
  }

  /** An engine was asked what it is. */
  describes(engine: string, kind: EngineKind): void {
    if (kind === 'llama-server') this.#roomForOne.add(engine);
    else this.#roomForOne.delete(engine);
  }

  /**
   * Whether the session used its engine last, as far as this process knows, and the engine was not started again since. One that has room for
   * several conversations is not asked. @throws the signal's reason, and nothing else.
   */
  async isHolder({ id, engine }: Pick<Session, 'id' | 'engine'>, signal: AbortSignal): Promise<boolean> {
    if (this.#holders.get(engine) !== id) return false;
    if (!this.#roomForOne.has(engine)) return true;
    const isUnused = await this.#isUnused(engine, signal);
    if (isUnused) this.emptied(engine);
    return !isUnused;
  }

  /** Whether an engine may lose a conversation of which no checkpoint was made, when this one comes. */
  mayDisplace(id: SessionId | null): boolean {
    if (!this.#policy.enabled) return false;
    return [...this.#holders].some(([engine, holder]) => holder !== id && this.#isLostBy(engine, holder));
  }

  /** Whether only this engine's memory has the session's last turn, and has room for no other. */
  #isLostBy(engine: string, id: SessionId): boolean {
    return this.isUnsaved(id) && this.#isVolatile(id, engine);
  }

  #isVolatile(id: SessionId, engine: string): boolean {
    return this.#turned.get(id)?.restMs !== undefined || this.#roomForOne.has(engine);
  }

  /**
   * Before another conversation takes a server that has room for one: saves what the server has in memory. The caller waits for that at most as
   * long as computing it again takes.
   *
   * @param by whose turn it is; null: of none that is known. @throws the signal's reason, and nothing else.
   */
  async saveDisplaced(engine: string, by: SessionId | null, signal: AbortSignal): Promise<void> {
    const holder = this.#holders.get(engine);
    if (holder === undefined || holder === by || !this.#isLostBy(engine, holder)) return;
    const { background, prefill, store } = this.#core();
    const isUnused = await this.#isUnused(engine, signal);
    // One that does not tell may have it still: a later try finds out.
    if (isUnused === null) return;
    // One that was started again would have to compute what is to be saved.
    if (isUnused) return this.emptied(engine);
    const held = await store.sessions.get(holder).catch(() => null);
    const limitMs = prefill.expectedMs(engine, held?.tokens?.count ?? 0) ?? this.#policy.leaveMs;
    let isLate = false;
    const saving = background
      .ended(holder, signal)
      .then(() => (isLate ? not(gaveWay) : this.#keep(holder, 'displaced')));
    this.#track(saving.catch(() => undefined));
    const late = (): Promise<void> => {
      // What is stopped may be an earlier checkpoint, behind which this one would begin beside the caller's request.
      isLate = true;
      return background.stop(holder);
    };
    await unlessAborted(within(limitMs, saving, late), signal);
  }

  /** Whether it was started again and had no request since; null where it does not answer. @throws the signal's reason, and nothing else. */
  #isUnused(engine: string, signal: AbortSignal): Promise<boolean | null> {
    const asked = this.#core().engines.get(engine).isUnused?.(signal) ?? Promise.resolve(false);
    return unlessAborted(
      asked.catch(() => null),
      signal,
    );
  }

  /** Makes a checkpoint if the session has gone on and it pays. Rejects only where the failure handler throws. */
  keep(id: SessionId): Promise<Kept> {
    return this.#keep(id, 'wanted');
  }

  async #keep(id: SessionId, occasion: Occasion): Promise<Kept> {
    const isDisplaced = occasion === 'displaced';
    const { background, turns, running } = this.#core();
    if (!this.#policy.enabled) return not('Checkpoints are off.');
    if (background.isRunning(id) || turns.isBusy(id)) return not('The session is busy.');
    if (!this.isUnsaved(id)) return not('Nothing changed since its last checkpoint.');
    // On the same model server it would wait for that turn, or take the memory from under it.
    if (!isDisplaced && (running.size > 0 || this.#passing > 0)) {
      this.#again(id);
      return not(gaveWay);
    }
    try {
      return await background.run(id, !isDisplaced, (signal) => this.#make(id, occasion, signal));
    } catch (error) {
      const failure = toCwmError(error);
      if (failure.name === 'Cancelled') {
        this.#again(id);
        return not(gaveWay);
      }
      // A model server that is away is no fault of this process, and its next checkpoint comes after the next turn.
      // Nor is one that serves another model now.
      if (failure.name !== 'EngineUnavailable' && !(isDisplaced && failure.name === 'ModelMismatch'))
        this.#onFailure(error);
      return not(failure.message);
    }
  }

  /**
   * Before `opened` takes its model server: keeps the sessions of the project that the client leaves, and the session that the server has in
   * memory now, the last used first. Never rejects.
   */
  async leave(opened: Session | null, leaving: ProjectUri | null): Promise<void> {
    for (const id of [...this.#turned.keys()].reverse()) {
      if (this.#isClosed) return;
      if (id === opened?.id || !this.isUnsaved(id)) continue;
      const session = await this.#core()
        .store.sessions.get(id)
        .catch(() => null);
      if (!session) continue;
      const isLeft = leaving !== null && session.project === leaving;
      const isDisplaced = opened?.engine === session.engine && this.#holders.get(session.engine) === id;
      if (isLeft || isDisplaced) this.#left.add(id);
    }
    await this.keepLeft();
  }

  /** Those that were left and not kept yet, the last used first. Never rejects. */
  async keepLeft(): Promise<void> {
    for (const id of [...this.#left].sort((one, other) => this.#atMs(other) - this.#atMs(one))) {
      if (this.#isClosed) return;
      // What came first must not wait for the next one either.
      if ((await this.keepOfLeft(id)).why === gaveWay) return;
    }
  }

  /** As {@link keep}, and soon again where something comes first. */
  async keepOfLeft(id: SessionId): Promise<Kept> {
    this.#left.add(id);
    const kept = await this.keep(id);
    if (kept.why !== gaveWay) this.#left.delete(id);
    return kept;
  }

  /** As {@link keepOfLeft}, and within the policy's time: what has begun then continues without the caller. */
  async keepWithinTime(id: SessionId): Promise<Kept> {
    const work = this.keepOfLeft(id);
    this.#track(work);
    return within(this.#policy.leaveMs, work, () => not('Its checkpoint is still being made.'));
  }

  /** As {@link leave}, for a caller that does not wait. */
  leaveSoon(leaving: ProjectUri): void {
    this.#track(this.leave(null, leaving));
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
   * Saves what it can within the policy's time: on all model servers at once, and on each the session first that would have most to compute again.
   * Which ones were not saved in time is a failure that names them.
   *
   * @returns those, with what that costs, and the time that there was; null where nothing was lost.
   */
  async close(): Promise<Omit<LastEnd, 'pid'> | null> {
    for (const { timer } of this.#turned.values()) clearTimeout(timer);
    const { background, clock, prefill } = this.#core();
    this.#isClosed = true;
    await background.stopAll();
    const { enabled, shutdownMs: limitMs } = this.#policy;
    const isOff = !enabled || limitMs === 0;
    const unsaved = isOff ? [] : await this.#unsaved();
    const late = await saveInTime(unsaved, { clock, limitMs }, this.#keepUntil);
    await this.settled();
    if (late.length === 0) return null;
    this.#onFailure(
      new CwmError(
        'EngineTimeout',
        `KV was not saved within the ${limitMs / 1000} s before the backend ended: ${late.join(', ')}.`,
      ),
    );
    const lost = unsaved.flatMap(({ id, engine, newTokens }) =>
      late.includes(id)
        ? { session: id, tokens: newTokens, computeMs: prefill.expectedMs(engine, newTokens) ?? undefined }
        : [],
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

  /** The sessions that have gone on since their checkpoint and may be saved unasked, the last used first. */
  async #unsaved(): Promise<Unsaved[]> {
    const { store } = this.#core();
    const found: Unsaved[] = [];
    for (const id of this.#turned.keys()) {
      if (!this.isUnsaved(id)) continue;
      const session = await store.sessions.get(id).catch(() => null);
      if (!session || !hasCheckpointable(session) || (await this.#whyNeverUnasked(session)) !== null) continue;
      const { engine, tokens } = session;
      const manifest = (await store.checkpoints.get(id).catch(() => null))?.manifest;
      const savedTokens = manifest?.engine === engine ? manifest.tokens.count : 0;
      const costMs = this.#costs.expectedMs(engine, tokens.count);
      found.push({ id, engine, newTokens: tokens.count - savedTokens, costMs });
    }
    return found.reverse();
  }

  async #make(id: SessionId, occasion: Occasion, signal: AbortSignal): Promise<Kept> {
    const core = this.#core();
    const session = await core.store.sessions.get(id);
    if (!session || !hasCheckpointable(session)) return not('There is nothing to make a checkpoint of.');
    const whyNever = await this.#whyNeverUnasked(session);
    if (whyNever !== null) return not(whyNever);
    if (!isBehind(await core.store.checkpoints.get(id), session)) {
      this.#made(id);
      return not('Nothing changed since its last checkpoint.');
    }
    const waitMs = occasion === 'routine' ? this.#untilDueMs(session) : 0;
    if (waitMs > 0) {
      const { idleMs } = this.#policy;
      // One that rests is saved when it always was: it does not go on.
      if (idleMs > 0) this.#later(id, this.#turned.get(id)?.restMs === undefined ? Math.min(waitMs, idleMs) : waitMs);
      return not('It was saved a moment ago, and saving takes long.');
    }
    const why = await this.#whyNotWorth(session, signal);
    if (why !== null) return not(why);
    const receipt = await makeCheckpoint(core, id, signal).finally(() => this.#onKvWritten());
    if (!receipt) return not('There is nothing to make a checkpoint of.');
    this.#made(id);
    this.#costs.spent(session.engine, receipt);
    this.#holders.set(session.engine, id);
    return { receipt, why: null };
  }

  /** What the user said of the session, or of its folder; null: it is saved. */
  async #whyNeverUnasked({ project, recorded }: Session): Promise<string | null> {
    if (recorded === false) return 'Nothing of this session is saved without being asked.';
    const isOfRecorded = project === null || (await this.isRecorded(project));
    return isOfRecorded ? null : 'Nothing of its folder is saved without being asked.';
  }

  /** How long the next one of a session waits that goes on, so that saving takes little of its time. In milliseconds; 0 or less: it is due. */
  #untilDueMs({ id, engine, tokens }: SessionWithContext): number {
    const madeAtMs = this.#turned.get(id)?.madeAtMs ?? null;
    const costMs = this.#costs.expectedMs(engine, tokens.count);
    return madeAtMs === null || costMs === null ? 0 : madeAtMs + costMs / mostOfTime - this.#core().clock.elapsedMs();
  }

  /** llama-server writes a whole slot file each time, and only of what its slot has; a server without any way to save KV gets no request. */
  async #whyNotWorth(session: SessionWithContext, signal: AbortSignal): Promise<string | null> {
    const { id, engine, tokens } = session;
    const { engines, prefill } = this.#core();
    const { kind } = await engines.get(engine).describe(signal);
    if (kind === 'openai') return 'The model server cannot save KV.';
    this.describes(engine, kind);
    if (kind !== 'llama-server') return null;
    if ((this.#holders.get(engine) ?? id) !== id) return 'The model server has another conversation in its memory.';
    if (!this.isOnlyInMemory(session)) return 'The model server was started again since its last turn.';
    return this.#costs.pays(engine, tokens.count, prefill.expectedMs(engine, tokens.count))
      ? null
      : 'Computing the context again costs less than saving it.';
  }

  #made(id: SessionId): void {
    const turned = this.#turned.get(id);
    if (!turned) return;
    clearTimeout(turned.timer);
    this.#turned.set(id, { ...turned, madeAtMs: this.#core().clock.elapsedMs(), timer: undefined });
  }

  async #makeIfLarge(id: SessionId, isHolder: boolean): Promise<void> {
    const { store } = this.#core();
    const session = await store.sessions.get(id).catch(() => null);
    if (!session) return this.#forget(id);
    if (isHolder) this.#holders.set(session.engine, id);
    if (!hasCheckpointable(session) || !this.#weigh(session, true).triggered) return;
    await this.#keep(id, 'routine');
  }

  /** The operation named a session that is not there. */
  #forget(id: SessionId): void {
    clearTimeout(this.#turned.get(id)?.timer);
    this.#turned.delete(id);
  }

  #weigh(session: Session, isChanged: boolean) {
    const madeAtMs = this.#turned.get(session.id)?.madeAtMs ?? null;
    return weighSize(this.#policy, {
      tokens: session.tokens?.count ?? 0,
      limitTokens: session.model?.maxModelLen ?? null,
      isChanged,
      sinceLastMs: madeAtMs === null ? null : this.#core().clock.elapsedMs() - madeAtMs,
    });
  }

  #atMs(id: SessionId): number {
    return this.#turned.get(id)?.atMs ?? 0;
  }

  #again(id: SessionId): void {
    const restMs = this.#turned.get(id)?.restMs ?? Math.max(1, this.#policy.cooldownMs);
    this.#later(id, this.#left.has(id) ? leftAgainMs : restMs);
  }

  #later(id: SessionId, afterMs: number): void {
    const turned = this.#turned.get(id);
    if (!turned || this.#isClosed) return;
    clearTimeout(turned.timer);
    const rested = (): Promise<unknown> =>
      this.#left.has(id) ? this.keepLeft() : this.#keep(id, turned.restMs === undefined ? 'wanted' : 'routine');
    const timer = afterMs === 0 ? undefined : setTimeout(() => this.#track(rested()), afterMs);
    timer?.unref();
    this.#turned.set(id, { ...turned, timer });
  }

  #track(work: Promise<unknown>): void {
    this.#running.add(work);
    void work.finally(() => this.#running.delete(work));
  }
}
