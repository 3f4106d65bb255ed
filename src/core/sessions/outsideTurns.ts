import { SerialQueue } from '../../base/serialQueue.ts';
import { newSession, type Message, type Session } from '../../protocol/schemas/session.ts';
import type { MessageId, ProjectUri, PromptId, SessionId } from '../../protocol/ids.ts';
import type { CoreContext } from '../context.ts';
import { isDue, isOpen, requireOpen } from '../lifecycle.ts';
import type { EngineDescription, ReuseEvidence } from '../ports/engine.ts';
import { newLineage, saltOf, type Lineage } from '../ports/lineages.ts';
import { openAiMessages } from '../ports/openAiMessages.ts';
import { renderConversation } from '../prompt/prompt.ts';
import { silent } from '../ports/reporter.ts';
import { promptText, requireSession } from '../session.ts';
import { freeBranchName, headOf, requireMessageOf, switched, withBranchAt } from '../turns/branchAt.ts';
import { recoverTurn } from '../turns/cutAnswer.ts';
import { storeAnswer } from '../turns/storeAnswer.ts';
import { thaw } from '../windows/thaw.ts';

/** The session of a conversation that another program leads. */
export interface OutsideSession {
  readonly id: SessionId;
  readonly project: ProjectUri | null;
  /** Whose salt its requests carry. */
  readonly lineage: Lineage;
  readonly engine: string;
  readonly tags: readonly string[];
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
  readonly ids: { readonly prompt: readonly number[]; readonly output: readonly number[] } | null;
  readonly description: EngineDescription | null;
  readonly reuse: ReuseEvidence;
}

/** Tag of every session that came through the gateway. */
export const outsideTag = 'gateway';

const promptId = 'client' as PromptId;

/**
 * Conversations whose prompts another program makes: it asks the model server through the gateway, and the sessions have what was said.
 */
export class OutsideTurns {
  readonly #core: () => CoreContext;
  readonly #lineages = new Map<ProjectUri | null, Promise<Lineage>>();
  /** Of projects whose lineage the store could not read or create. It becomes that of their next session. */
  readonly #unstored = new Map<ProjectUri | null, Lineage>();
  readonly #creating = new SerialQueue();

  constructor(core: () => CoreContext) {
    this.#core = core;
  }

  /**
   * The lineage that all such conversations of a project share, so that what they begin with is computed once. It is that of the project's
   * latest session of this kind. A store that fails stands in nobody's way: the project has a lineage in memory then. Never rejects.
   */
  async lineageOf(project: ProjectUri | null, onFailure: (error: unknown) => void): Promise<Lineage> {
    const unstored = this.#unstored.get(project);
    if (unstored) return unstored;
    try {
      return await this.#storedLineageOf(project);
    } catch (error) {
      onFailure(error);
      const lineage = this.#unstored.get(project) ?? newLineage();
      this.#unstored.set(project, lineage);
      return lineage;
    }
  }

  async #storedLineageOf(project: ProjectUri | null): Promise<Lineage> {
    let known = this.#lineages.get(project);
    if (!known) {
      known = this.#findLineage(project);
      this.#lineages.set(project, known);
      known.catch(() => this.#lineages.delete(project));
    }
    // Its generation moves on when damaged KV has to be left behind.
    return this.#core().store.lineages.get((await known).id);
  }

  /** What requests under this lineage carry. */
  saltOf(lineage: Lineage): string {
    return saltOf(lineage);
  }

  /** Waits for work on the session's KV, and ends what only runs in the background: a turn goes first. */
  async giveWay(id: SessionId, signal: AbortSignal): Promise<void> {
    await this.#core().background.giveWay(id, signal);
  }

  /**
   * Makes a session ready for a turn that another program asks for: thaws a frozen one as itself, and has the KV of its last checkpoint
   * brought back where the server does not find it by itself. What the server has in memory instead is saved first.
   *
   * @returns false where the session is gone or has expired.
   * @throws CwmError Cancelled, and those of a thaw.
   */
  async makeReady(id: SessionId, signal: AbortSignal): Promise<boolean> {
    const core = this.#core();
    const session = await core.store.sessions.get(id);
    if (!session) return false;
    if (session.lifecycle === 'frozen' && session.frozenAs !== null) {
      await thaw(core, { window: session.frozenAs, resume: true }, signal, silent);
      return true;
    }
    if (!isOpen(session) || isDue(session, core.clock.now())) return false;
    const { kind } = await core.engines.get(session.engine).describe(signal);
    // The others find the blocks of a prompt by themselves.
    if (kind !== 'llama-server') return true;
    await core.warmings.open(session, { project: session.project, leaving: null, insist: false });
    await core.background.giveWay(id, signal);
    return true;
  }

  /** What was said up to a message, as chat messages of the OpenAI API. @throws CwmError MessageNotFound, Corrupted. */
  async chatUpTo(id: SessionId, message: MessageId): Promise<readonly object[]> {
    const { messages } = this.#core().store;
    return openAiMessages(renderConversation(null, await messages.load(id, await messages.chain(id, message))));
  }

  /** The session whose turn an engine had last; null: not known. */
  holderOf(engine: string): SessionId | null {
    return this.#core().checkpoints.holderOf(engine);
  }

  /** Saves what an engine has in memory, before another conversation takes its place. Never rejects. */
  async saveHolder(engine: string): Promise<void> {
    const { checkpoints } = this.#core();
    const holder = checkpoints.holderOf(engine);
    if (holder !== null) await checkpoints.keepOfLeft(holder);
  }

  /** A request takes the engine. @param by null: one of no session. */
  tookEngine(engine: string, by: SessionId | null): void {
    this.#core().checkpoints.tookEngine(engine, by);
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
    await this.#storeLineage(turn.session);
    const stored = await core.turns.run(id, () => recordNow(core, turn));
    core.prefill.observe(turn.session.engine, turn.reuse);
    core.checkpoints.afterTurn(id);
    return stored;
  }

  async #storeLineage({ project, lineage }: OutsideSession): Promise<void> {
    if (this.#unstored.get(project)?.id !== lineage.id) return;
    await this.#creating.run(async () => {
      if (this.#unstored.get(project)?.id !== lineage.id) return;
      await this.#core().store.lineages.create(lineage);
      this.#lineages.set(project, Promise.resolve(lineage));
      this.#unstored.delete(project);
    });
  }

  async #findLineage(project: ProjectUri | null): Promise<Lineage> {
    const { store } = this.#core();
    const { items } = await store.sessions.list({ ...(project !== null && { project }), limit: 100, offset: 0 });
    const known = items.find(({ tags = [], project: of }) => of === project && tags.includes(outsideTag));
    if (known) return store.lineages.get(known.lineage);
    const lineage = newLineage();
    await store.lineages.create(lineage);
    return lineage;
  }
}

async function recordNow(core: CoreContext, turn: OutsideTurn): Promise<Session> {
  const { messages, ids, description, system } = turn;
  const found = (await core.store.sessions.get(turn.session.id)) ?? (await makeSession(core, turn));
  requireOpen(found, core.clock.now());
  const session = await placedAfter(core, await recoverTurn(core, found), turn.after);
  const answer = messages.at(-1);
  const isCut = answer?.cut !== undefined && answer.cut !== 'limit';
  const { session: stored } = await storeAnswer(core, session, {
    messages,
    length: answer?.sequence ?? session.branches[session.activeBranch]?.length ?? 0,
    ids: ids && { ...ids, source: 'engine' },
    events: isCut ? ['send', 'request', 'cancel'] : ['send', 'request', 'streamed', 'answered'],
    changed: {
      engine: turn.session.engine,
      ...(description && { model: description.model }),
      ...(promptText(session) !== (system || null) && {
        settings: { ...session.settings, systemPrompt: { id: promptId, text: system } },
      }),
    },
  });
  return stored;
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
async function placedAfter(core: CoreContext, session: Session, after: MessageId | null): Promise<Session> {
  if (headOf(session) === after) return session;
  const there = Object.values(session.branches).find(({ head }) => head === after);
  if (there) return switched(session, there.name);
  const name = freeBranchName(session, undefined);
  return switched(
    withBranchAt(session, name, after === null ? null : await requireMessageOf(core, session, after)),
    name,
  );
}
