import { randomId, sha256Hex } from '../../../base/hash.ts';
import { SerialQueue } from '../../../base/serialQueue.ts';
import { newSession, type Message, type Session } from '../../../protocol/schemas/session.ts';
import { nullOn } from '../../../protocol/errors.ts';
import type { LineageId, MessageId, ProjectUri, PromptId, SessionId } from '../../../protocol/ids.ts';
import type { Isolation } from '../../../protocol/settings/sessionChoices.ts';
import type { CoreContext } from '../../context.ts';
import { isDue, isOpen, requireOpen } from '../../lifecycle.ts';
import type { EngineDescription, Passage, ReuseEvidence } from '../../ports/engine.ts';
import { newLineage, saltOf, type Lineage } from '../../ports/lineages.ts';
import { openAiMessages } from '../../ports/openAiMessages.ts';
import { resolveProject, withoutContent } from '../../projects/resolveProject.ts';
import { otherProject } from '../../projects/strictMode.ts';
import { renderConversation } from '../../prompt/prompt.ts';
import { silent } from '../../ports/reporter.ts';
import { nextEngine, promptText, requireSession } from '../../session.ts';
import { freeBranchName, headOf, requireMessageOf, switched, withBranchAt } from '../../turns/branchAt.ts';
import { recoverTurn } from '../../turns/cutAnswer.ts';
import { storeAnswer, storeTokens } from '../../turns/storeAnswer.ts';
import { openWithoutWindow } from '../../windows/thaw/resumeFrozen.ts';
import { thaw } from '../../windows/thaw/thaw.ts';

/** The session of a conversation that another program leads. */
export interface OutsideSession {
  readonly id: SessionId;
  readonly project: ProjectUri | null;
  /** Whose salt its requests carry. */
  readonly lineage: Lineage;
  readonly engine: string;
  readonly tags: readonly string[];
}

type SeenIds = { readonly prompt: readonly number[]; readonly output: readonly number[] } | null;

/** An answer that another turn went on with before it was stored. */
export interface EarlierAnswer {
  readonly message: MessageId;
  readonly ids: SeenIds;
}

/** What such a conversation went on with. */
export interface OutsideTurn {
  readonly session: OutsideSession;
  /** The stored message that it continues; null: it begins. Another one than the last of its branch makes a branch there. */
  readonly after: MessageId | null;
  /** In order, the answer last. Each names the one before it. */
  readonly messages: readonly Message[];
  /** The client's system prompt; empty for none. */
  readonly system: string;
  /** Null where the server told no token ids: the session has those of its last turn then. */
  readonly ids: SeenIds;
  /** Of the messages, answers before the last one. */
  readonly earlier: readonly EarlierAnswer[];
  readonly description: EngineDescription | null;
  readonly reuse: ReuseEvidence;
  /** The server's only memory has it, and loses it with the next conversation or its own end. */
  readonly isVolatile: boolean;
}

/** What became of an attempt to have a session's KV at hand. */
export interface Readiness {
  /** False where the session is gone or has expired. */
  readonly isThere: boolean;
  /** What happened to its KV, in words; null: nothing had to. */
  readonly why: string | null;
}

const gone: Readiness = { isThere: false, why: null };

/** Of all conversations, where nothing separates them. */
const everyones = 'everyone' as LineageId;
/** Begins the ids of lineages that belong to one conversation. */
const unshared = 'conversation-';
/**
 * Begins the ids of lineages that a project's conversations share. A session that moves takes its lineage along, so that the session's project says
 * nothing of whose salt it is.
 */
const sharedBy = (project: ProjectUri | null): string => `project-${sha256Hex(project ?? '').slice(0, 16)}-`;
const mostUnstored = 10_000;
/** Requests of an agent follow each other fast: for so long, in milliseconds, none looks at the disk again. */
const placeMs = 5000;
const mostPlaces = 1000;

/** Tag of every session that came through the gateway. */
export const outsideTag = 'gateway';

export const promptId = 'client' as PromptId;

/**
 * Conversations whose prompts another program makes: it asks the model server through the gateway, and the sessions have what was said.
 */
export class OutsideTurns {
  readonly #core: () => CoreContext;
  readonly #isolation: Isolation;
  /** By project: which lineage its new conversations belong to. */
  readonly #shared = new Map<ProjectUri | null, Promise<LineageId>>();
  /** Those of conversations that have no session yet, or whose record the store could not read. */
  readonly #unstored = new Map<LineageId, Lineage>();
  /** As the store has them: a request must not wait for its files each time. */
  readonly #read = new Map<LineageId, Lineage>();
  readonly #recorded = new Map<ProjectUri, Promise<boolean>>();
  /** Folders that requests named lately, and whose projects they are. */
  readonly #places = new Map<string, { readonly project: ProjectUri; readonly untilMs: number }>();
  readonly #creating = new SerialQueue();

  constructor(core: () => CoreContext, isolation: Isolation) {
    this.#core = core;
    this.#isolation = isolation;
  }

  get isolation(): Isolation {
    return this.#isolation;
  }

  /**
   * The lineage of a conversation. By default, all new ones of a project share that of its latest session, so that what they begin with is
   * computed once. Nothing is written. A store that fails stands in nobody's way: the conversation has a lineage in memory then. Never rejects.
   *
   * @param own what it returned for the conversation before, or what its session has; null for a new one.
   */
  async lineageOf(
    project: ProjectUri | null,
    own: LineageId | null,
    onFailure: (error: unknown) => void,
  ): Promise<Lineage> {
    if (own === null && this.#isolation === 'conversation')
      return this.#inMemory(`${unshared}${randomId()}` as LineageId);
    const separated = this.#isolation === 'off' ? null : project;
    try {
      const id = own ?? (await this.#sharedBy(separated));
      return this.#unstored.get(id) ?? this.#read.get(id) ?? (await this.#readLineage(id));
    } catch (error) {
      onFailure(error);
      const lineage = this.#inMemory(newSharedId(separated));
      if (own === null) this.#shared.set(separated, Promise.resolve(lineage.id));
      return lineage;
    }
  }

  /** Its generation moves on when damaged KV has to be left behind. */
  async #readLineage(id: LineageId): Promise<Lineage> {
    const lineage = await this.#core().store.lineages.get(id);
    this.#read.set(id, lineage);
    return lineage;
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
    this.#read.clear();
    this.#recorded.clear();
  }

  #sharedBy(project: ProjectUri | null): Promise<LineageId> {
    const known = this.#shared.get(project);
    if (known) return known;
    const finding = this.#isolation === 'off' ? this.#findEveryones() : this.#findShared(project);
    this.#shared.set(project, finding);
    finding.catch(() => this.#shared.delete(project));
    return finding;
  }

  async #findEveryones(): Promise<LineageId> {
    if ((await nullOn(this.#core().store.lineages.get(everyones), 'Corrupted')) === null) this.#inMemory(everyones);
    return everyones;
  }

  async #findShared(project: ProjectUri | null): Promise<LineageId> {
    const query = { ...(project !== null && { project }), limit: 100, offset: 0 };
    const { items } = await this.#core().store.sessions.list(query);
    const isShared = ({ tags = [], lineage }: Session): boolean =>
      tags.includes(outsideTag) && lineage.startsWith(sharedBy(project));
    return items.find(isShared)?.lineage ?? this.#inMemory(newSharedId(project)).id;
  }

  #inMemory(id: LineageId): Lineage {
    const lineage = { ...newLineage(), id };
    this.#unstored.set(id, lineage);
    // Of conversations that never had an answer.
    for (const [oldest] of this.#unstored) if (this.#unstored.size > mostUnstored) this.#unstored.delete(oldest);
    return lineage;
  }

  /** What requests under this lineage carry. */
  saltOf(lineage: Lineage): string {
    return saltOf(lineage);
  }

  /** Waits for work on the session's KV, and ends what only runs in the background: a turn goes first. */
  async giveWay(id: SessionId | null, signal: AbortSignal): Promise<void> {
    await this.#core().background.giveWay(id, signal);
  }

  /**
   * Makes a session ready for a turn that another program asks for: thaws a frozen one as itself, and has the KV of its last checkpoint
   * brought back where the server does not find it by itself. What the server has in memory instead is saved first.
   *
   * @throws CwmError Cancelled, and those of a thaw.
   */
  async makeReady(id: SessionId, signal: AbortSignal): Promise<Readiness> {
    const core = this.#core();
    this.#read.clear();
    const session = await core.store.sessions.get(id);
    if (!session) return gone;
    if (session.lifecycle === 'frozen' && session.frozenAs !== null) {
      if (await openWithoutWindow(core, id, signal)) return { isThere: true, why: 'The window of its KV was deleted.' };
      const { summary } = await thaw(core, { window: session.frozenAs, resume: true }, signal, silent);
      return { isThere: true, why: summary };
    }
    if (!isOpen(session) || isDue(session, core.clock.now())) return gone;
    const { kind } = await core.engines.get(session.engine).describe(signal);
    // The others find the blocks of a prompt by themselves.
    if (kind !== 'llama-server') return { isThere: true, why: null };
    await core.warmings.open(session, { project: session.project, leaving: null, insist: false });
    await core.background.giveWay(id, signal);
    return { isThere: true, why: core.warmings.of(id).why };
  }

  /**
   * A request under this salt is about to be sent to the engine past this core.
   *
   * @returns null where the engine separates salts by itself. @throws CwmError of the engine.
   */
  async letPass(engine: string, salt: string, signal: AbortSignal): Promise<Passage | null> {
    const passage = (await this.#core().engines.get(engine).letPass?.(salt, signal)) ?? null;
    if (passage?.isNew) this.#core().holders.emptied(engine);
    return passage;
  }

  /** Until the returned function is called, a request of another program runs: checkpoints wait for its end. */
  passing(): () => void {
    return this.#core().checkpoints.passing();
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
  holderOf(engine: string): SessionId | null {
    return this.#core().holders.of(engine);
  }

  /** Saves what an engine has in memory, before another conversation takes its place. @throws the signal's reason, and nothing else. */
  async saveHolder(engine: string, signal: AbortSignal): Promise<void> {
    await this.#core().checkpoints.saveDisplaced(engine, null, signal);
  }

  /** A request takes the engine. @param by null: one of no session. */
  tookEngine(engine: string, by: SessionId | null): void {
    this.#core().holders.took(engine, by);
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
    await this.#storeLineage(turn.session.lineage);
    const stored = await core.turns.run(id, () => recordNow(core, turn));
    core.prefill.observe(turn.session.engine, turn.reuse);
    await this.#readLineage(turn.session.lineage.id).catch(() => this.#read.delete(turn.session.lineage.id));
    core.checkpoints.afterOutsideTurn(id, turn.isVolatile);
    return stored;
  }

  /** One that is no longer in memory was stored, or had to give way to newer ones while its request ran. */
  async #storeLineage(lineage: Lineage): Promise<void> {
    const { id } = lineage;
    await this.#creating.run(async () => {
      const { lineages } = this.#core().store;
      if (!this.#unstored.has(id) && (this.#read.has(id) || (await nullOn(lineages.get(id), 'Corrupted')))) return;
      await lineages.create(this.#unstored.get(id) ?? lineage);
      this.#unstored.delete(id);
    });
  }
}

const newSharedId = (project: ProjectUri | null): LineageId => `${sharedBy(project)}${randomId()}` as LineageId;

async function recordNow(core: CoreContext, turn: OutsideTurn): Promise<Session> {
  const { ids, description, system } = turn;
  const found = (await core.store.sessions.get(turn.session.id)) ?? (await makeSession(core, turn));
  requireOpen(found, core.clock.now());
  const session = await placedAfter(core, await recoverTurn(core, found), turn.after);
  const messages = await withContexts(core, session, turn);
  const answer = messages.at(-1);
  const isCut = answer?.cut !== undefined && answer.cut !== 'limit';
  const { session: stored } = await storeAnswer(core, session, {
    messages,
    length: answer?.sequence ?? session.branches[session.activeBranch]?.length ?? 0,
    ids: ids && { ...ids, source: 'engine' },
    events: isCut ? ['send', 'request', 'cancel'] : ['send', 'request', 'streamed', 'answered'],
    changed: {
      ...nextEngine(session, turn.session.engine),
      ...(description && { model: description.model }),
      ...(promptText(session) !== (system || null) && {
        settings: { ...session.settings, systemPrompt: { id: promptId, text: system } },
      }),
    },
  });
  return stored;
}

/** Each earlier answer with what the engine saw of it, so that a branch can begin there. */
async function withContexts(
  core: CoreContext,
  session: Session,
  { messages, earlier }: OutsideTurn,
): Promise<Message[]> {
  const seen = new Map(earlier.map(({ message, ids }) => [message, ids]));
  const found: Message[] = [];
  for (const message of messages) {
    const ids = seen.get(message.id);
    const context = ids && (await storeTokens(core, session, message.sequence, { ...ids, source: 'engine' }));
    found.push({ ...message, ...(context && { context }) });
  }
  return found;
}

async function makeSession(core: CoreContext, { session: start, system }: OutsideTurn): Promise<Session> {
  return core.space.sessions.take(async () => {
    const { id, project, engine, lineage, tags } = start;
    const session = newSession({
      id,
      title: id,
      tags: [...tags],
      ...(system !== '' && { settings: { systemPrompt: { id: promptId, text: system } } }),
      project,
      engine,
      lineage: lineage.id,
      createdAt: core.clock.now().toISOString(),
    });
    await core.store.sessions.create(session);
    return requireSession(core, id);
  });
}

/** The session on a branch that ends with this message. */
export async function placedAfter(core: CoreContext, session: Session, after: MessageId | null): Promise<Session> {
  if (headOf(session) === after) return session;
  const there = Object.values(session.branches).find(({ head }) => head === after);
  if (there) return switched(session, there.name);
  const name = freeBranchName(session, undefined);
  return switched(
    withBranchAt(session, name, after === null ? null : await requireMessageOf(core, session, after)),
    name,
  );
}
