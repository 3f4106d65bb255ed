import { newSession, type Message, type Session } from '../../../protocol/schemas/session.ts';
import type { MessageId, ProjectUri, PromptId, SessionId } from '../../../protocol/ids.ts';
import type { CoreContext } from '../../context.ts';
import { requireOpen } from '../../lifecycle.ts';
import type { Weighed } from '../../memory/pages/weigh.ts';
import { hasPictures } from '../../prompt/pictures.ts';
import type { EngineDescription, ReuseEvidence } from '../../ports/engine.ts';
import type { Lineage } from '../../ports/lineages.ts';
import { nextEngine, promptText, requireSession } from '../../session.ts';
import { freeBranchName, headOf, requireMessageOf, switched, withBranchAt } from '../../turns/branchAt.ts';
import { recoverTurn } from '../../turns/cutAnswer.ts';
import { storeAnswer, storeTokens } from '../../turns/storeAnswer.ts';

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
  /** What the client says that messages are worth. */
  readonly weighed: readonly Weighed[];
  readonly description: EngineDescription | null;
  readonly reuse: ReuseEvidence;
  /** The server's only memory has it, and loses it with the next conversation or its own end. */
  readonly isVolatile: boolean;
  /** When the last answer ended, in milliseconds of the monotonic clock. */
  readonly answeredMs: number;
}

export const promptId = 'client' as PromptId;

/**
 * Stores what was said. The caller holds the session's turn. The session is made with its first one.
 *
 * @throws CwmError AlreadyFrozen, InvalidTransition (it has expired), Exhausted, and those of the store; nothing is stored then.
 */
export async function storeOutsideTurn(core: CoreContext, turn: OutsideTurn): Promise<Session> {
  const { ids, description, system } = turn;
  const found = (await core.store.sessions.get(turn.session.id)) ?? (await makeSession(core, turn));
  requireOpen(found, core.clock.now());
  const session = await placedAfter(core, await recoverTurn(core, found), turn.after);
  const messages = await withContexts(core, session, turn);
  // Ids stand for any picture, as in our own turns.
  const media = session.tokens?.media === true || hasPictures(messages);
  const answer = messages.at(-1);
  const isCut = answer?.cut !== undefined && answer.cut !== 'limit';
  const { session: stored } = await storeAnswer(core, session, {
    messages,
    length: answer?.sequence ?? session.branches[session.activeBranch]?.length ?? 0,
    ids: ids && (media ? { prompt: [], output: [], source: 'engine', media } : { ...ids, source: 'engine' }),
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
  const media = session.tokens?.media === true || hasPictures(messages);
  const seen = new Map(earlier.map(({ message, ids }) => [message, media ? null : ids]));
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
