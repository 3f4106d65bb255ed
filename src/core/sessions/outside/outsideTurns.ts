import type { Session, TokensTaken } from '../../../protocol/schemas/session.ts';
import type { MessageId, ProjectUri, SessionId } from '../../../protocol/ids.ts';
import type { Isolation } from '../../../protocol/settings/sessionChoices.ts';
import type { CoreContext } from '../../context.ts';
import { isDue, isOpen } from '../../lifecycle.ts';
import { weigh } from '../../memory/pages/weigh.ts';
import type { EngineDescription, Passage, SlotState } from '../../ports/engine.ts';
import { saltOf, type Lineage } from '../../ports/lineages.ts';
import { openAiMessages } from '../../ports/openAiMessages.ts';
import { resolveProject, withoutContent } from '../../projects/resolveProject.ts';
import { otherProject } from '../../projects/strictMode.ts';
import { renderConversation } from '../../prompt/prompt.ts';
import { silent } from '../../ports/reporter.ts';
import { promptText } from '../../session.ts';
import { openWithoutWindow } from '../../windows/thaw/resumeFrozen.ts';
import { thaw } from '../../windows/thaw/thaw.ts';
import { OutsideLineages, outsideTag } from './outsideLineages.ts';
import { storeOutsideTurn, type OutsideTurn } from './storeOutsideTurn.ts';
import { computedFor, type Computed } from './computed.ts';

/** What became of an attempt to have a session's KV at hand. */
export interface Readiness {
  /** False where the session is gone or has expired. */
  readonly isThere: boolean;
  /** What happened to its KV, in words; null: nothing had to. */
  readonly why: string | null;
  /** What of it was computed to have it; null or left out: nothing, it was only loaded, or is known from what the next prompt reuses. */
  readonly computed?: Computed | null;
}

/** An engine as it was found a moment ago. */
export interface KnownEngine {
  readonly spec: string;
  readonly description: Pick<EngineDescription, 'kind'>;
}

const gone: Readiness = { isThere: false, why: null };

/** What a server has of a request and its answer; null: it does not tell. It computes the last token of an answer with what follows. */
function heldTokens({ promptTokens = null, outputTokens = null }: Partial<TokensTaken> = {}): number | null {
  return promptTokens === null || outputTokens === null ? null : promptTokens + outputTokens - 1;
}

/** Requests of an agent follow each other fast: for so long, in milliseconds, none looks at the disk again. */
const placeMs = 5000;
const mostPlaces = 1000;

/** A session and its first turn take more than this on the disk. */
const leastFreeBytes = 16 * 1024;

/**
 * Conversations whose prompts another program makes: it asks the model server through the gateway, and the sessions have what was said.
 */
export class OutsideTurns {
  /** Whose salt the requests carry. */
  readonly lineages: OutsideLineages;
  readonly #core: () => CoreContext;
  readonly #recorded = new Map<ProjectUri, Promise<boolean>>();
  /** Folders that requests named lately, and whose projects they are. */
  readonly #places = new Map<string, { readonly project: ProjectUri; readonly untilMs: number }>();

  constructor(core: () => CoreContext, isolation: Isolation) {
    this.#core = core;
    this.lineages = new OutsideLineages(core, isolation);
  }

  /** Whether conversations of a project become sessions. Never rejects: what cannot be read stands in nobody's way. */
  isRecorded(project: ProjectUri | null): Promise<boolean> {
    if (project === null) return Promise.resolve(true);
    let known = this.#recorded.get(project);
    if (!known) {
      known = this.#core()
        .recording.isRecorded(project)
        .catch(() => true);
      this.#recorded.set(project, known);
    }
    return known;
  }

  /**
   * The project of a request: of the folder that its prompt names, that of the nearest configuration above it, as for every other client. A folder that
   * is not there or does not answer is a project by itself.
   *
   * @param isExplicit whether the request names the project, and not a folder to look from.
   * @throws CwmError InvalidParameter (a bad configuration, without what is in it), Cancelled.
   */
  async projectAt(named: ProjectUri, isExplicit: boolean, signal: AbortSignal): Promise<ProjectUri> {
    // A name that is no folder stands for itself.
    if (!named.startsWith('file:')) return named;
    const key = `${isExplicit} ${named}`;
    const nowMs = this.#core().clock.elapsedMs();
    const known = this.#places.get(key);
    if (known && nowMs < known.untilMs) return known.project;
    try {
      const { project } = await resolveProject(this.#core(), named, isExplicit, signal);
      if (this.#places.size >= mostPlaces) this.#places.clear();
      this.#places.set(key, { project, untilMs: nowMs + placeMs });
      return project;
    } catch (error) {
      signal.throwIfAborted();
      const bad = withoutContent(error);
      if (bad) throw bad;
      return known?.project ?? named;
    }
  }

  /**
   * A request that names one project and continues an answer of another one: a project with `strict_mode` refuses that (S2-12).
   *
   * @throws CwmError OtherProject, InvalidParameter (a bad configuration), OperationTimeout.
   */
  async requireOwn(named: ProjectUri, other: ProjectUri | null, signal: AbortSignal): Promise<void> {
    if (other === null || other === named) return;
    const { config } = await resolveProject(this.#core(), named, false, signal);
    if (config?.strict_mode) throw otherProject(config.project.name, other);
  }

  /** Something else than a turn of this kind happened to a session or a project. */
  changed(): void {
    this.lineages.changed();
    this.#recorded.clear();
  }

  /** What requests under this lineage carry. */
  saltOf(lineage: Lineage): string {
    return saltOf(lineage);
  }

  /**
   * Why a conversation that begins now would become no session, as far as that shows before it is stored; null: nothing stands in its way. Never
   * rejects.
   */
  async whyNoRoom(): Promise<string | null> {
    const { space, store } = this.#core();
    try {
      const why = await space.sessions.whyFull();
      if (why !== null) return why;
      const freeBytes = await store.space.freeBytes();
      return freeBytes !== null && freeBytes < leastFreeBytes ? 'The disk of the storage directory is full.' : null;
    } catch {
      return null;
    }
  }

  /**
   * Waits for work on the session's KV, and ends what only runs in the background: a turn goes first.
   *
   * @param passing the turn uses only this slot; null: it may use any.
   */
  async giveWay(
    id: SessionId | null,
    signal: AbortSignal,
    passing: { readonly engine: string; readonly slot: number } | null = null,
  ): Promise<void> {
    const { background, checkpoints } = this.#core();
    const isBeside = (other: SessionId | symbol): boolean =>
      typeof other === 'string' && passing !== null && checkpoints.isBeside(passing, other);
    await background.giveWay(id, signal, isBeside);
  }

  /**
   * Makes a session ready for a turn that another program asks for: thaws a frozen one as itself, and has the KV of its last checkpoint
   * brought back where the server does not find it by itself. What the server has in memory instead is saved first.
   *
   * @param slot into which it is brought; undefined: the server's only one, or the engine's own.
   * @param known what an engine is, so that it is not asked. Default: nobody knows.
   * @throws CwmError Cancelled, and those of a thaw.
   */
  async makeReady(
    id: SessionId,
    signal: AbortSignal,
    { slot, known }: { readonly slot?: number | undefined; readonly known?: KnownEngine } = {},
  ): Promise<Readiness> {
    const core = this.#core();
    this.lineages.changed();
    const session = await core.store.sessions.get(id);
    if (!session) return gone;
    const came = slot === undefined ? (): void => undefined : core.holders.comes(session.engine, id, slot);
    try {
      return await this.#bringBack(session, known, signal);
    } finally {
      came();
    }
  }

  async #bringBack(session: Session, known: KnownEngine | undefined, signal: AbortSignal): Promise<Readiness> {
    const core = this.#core();
    const { id } = session;
    if (session.lifecycle === 'frozen' && session.frozenAs !== null) {
      if (await openWithoutWindow(core, id, signal)) return { isThere: true, why: 'The window of its KV was deleted.' };
      const receipt = await thaw(core, { window: session.frozenAs, resume: true }, signal, silent);
      return { isThere: true, why: receipt.summary, computed: computedFor(receipt) };
    }
    if (!isOpen(session) || isDue(session, core.clock.now())) return gone;
    const { kind } =
      known?.spec === session.engine ? known.description : await core.engines.get(session.engine).describe(signal);
    // The others find the blocks of a prompt by themselves.
    if (kind !== 'llama-server') return { isThere: true, why: null };
    await core.warmings.open(session, { project: session.project, leaving: null, insist: false });
    try {
      await core.background.giveWay(id, signal);
    } catch (error) {
      // The slot belongs to the request, so that nothing goes into it once that is given up.
      await core.warmings.leave(id);
      throw error;
    }
    const { why, receipt } = core.warmings.of(id);
    return { isThere: true, why, computed: receipt && computedFor(receipt) };
  }

  /**
   * A request under this salt is about to be sent to the engine past this core.
   *
   * @param passing which slot the request asks for, and whether this comes behind {@link makeReady} for the same request. Default: none, and no.
   * @returns null where the engine separates salts by itself. @throws CwmError of the engine.
   */
  async letPass(
    engine: string,
    salt: string,
    signal: AbortSignal,
    passing: { readonly slot?: number | undefined; readonly isAgain?: boolean } = {},
  ): Promise<Passage | null> {
    const passage = (await this.#core().engines.get(engine).letPass?.(salt, signal, passing)) ?? null;
    if (passage?.isNew) this.#core().holders.emptied(engine);
    return passage;
  }

  /** Until the returned function is called, a request of another program runs: checkpoints wait for its end. */
  passing(engine: string, slot: number | undefined): () => void {
    return this.#core().checkpoints.passing(engine, slot);
  }

  /** What the slots of an engine have; null: it has none, or does not show them. @throws CwmError of the engine. */
  slots(engine: string, signal: AbortSignal, ended?: number): Promise<readonly SlotState[] | null> {
    return this.#core().holders.look(engine, signal, ended);
  }

  /** The slot that a session had last; undefined: none. */
  slotOf(engine: string, id: SessionId): number | undefined {
    return this.#core().holders.slotOf(engine, id);
  }

  /** The system prompt that its last turn had; null: it had none, or there is no such session. */
  async systemPromptOf(id: SessionId): Promise<string | null> {
    const session = await this.#core().store.sessions.get(id);
    return session && promptText(session);
  }

  /** What was said up to a message, as chat messages of the OpenAI API. @throws CwmError MessageNotFound, Corrupted. */
  async chatUpTo(id: SessionId, message: MessageId): Promise<readonly object[]> {
    const { messages } = this.#core().store;
    return openAiMessages(renderConversation(null, await messages.load(id, await messages.chain(id, message))));
  }

  /** The session whose turn an engine had last; null: not known. */
  holderOf(engine: string, slot?: number): SessionId | null {
    return this.#core().holders.of(engine, slot);
  }

  /** Saves what an engine has in memory, before another conversation takes its place. @throws the signal's reason, and nothing else. */
  async saveHolder(engine: string, signal: AbortSignal, slot?: number): Promise<void> {
    await this.#core().checkpoints.saveDisplaced(engine, null, signal, slot);
  }

  /** Its KV will be asked for. Never rejects. */
  async lookAhead(id: SessionId): Promise<void> {
    await this.#core().warmings.lookAhead(id);
  }

  /** Whether it had a turn that is stored, and no checkpoint since. */
  isUnsaved(id: SessionId): boolean {
    return this.#core().checkpoints.isUnsaved(id);
  }

  /** As {@link saveHolder}, as far as the server can write what it has as it is. See {@link CheckpointKeeper.leavePlace}. */
  leavePlace(
    engine: string,
    left: { readonly tokens: number; readonly stored: () => Promise<void>; readonly slot?: number | undefined },
    signal: AbortSignal,
  ): Promise<boolean> {
    return this.#core().checkpoints.leavePlace(engine, left, signal);
  }

  /** A request takes the engine. @param by null: one of no session. */
  tookEngine(engine: string, by: SessionId | null, slot?: number): void {
    this.#core().holders.took(engine, by, slot);
  }

  /** By the clock of the sessions' checkpoints, in milliseconds. */
  elapsedMs(): number {
    return this.#core().clock.elapsedMs();
  }

  /** Every session of this kind. */
  async sessions(): Promise<readonly Session[]> {
    const { store } = this.#core();
    const found: Session[] = [];
    for (let offset = 0; ; offset += 100) {
      const { items } = await store.sessions.list({ limit: 100, offset });
      found.push(...items.filter(({ tags = [] }) => tags.includes(outsideTag)));
      if (items.length < 100) return found;
    }
  }

  /**
   * Stores what was said. The session is made with its first turn.
   *
   * @throws CwmError AlreadyFrozen, InvalidTransition (it has expired), Exhausted, and those of the store; nothing is stored then.
   */
  async record(turn: OutsideTurn): Promise<Session> {
    const core = this.#core();
    const { id } = turn.session;
    await this.lineages.store(turn.session.lineage);
    const stored = await core.turns.run(id, async () => {
      const session = await storeOutsideTurn(core, turn);
      await weigh(core, session, turn.weighed);
      return session;
    });
    core.prefill.observe(turn.session.engine, turn.reuse);
    for (const { taken } of turn.messages) if (taken) core.took(id, taken);
    await this.lineages.renew(turn.session.lineage.id);
    core.checkpoints.afterOutsideTurn(id, turn.isVolatile, {
      heldTokens: heldTokens(turn.messages.at(-1)?.taken),
      answeredMs: turn.answeredMs,
    });
    return stored;
  }
}
