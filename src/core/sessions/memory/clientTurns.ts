import { randomId } from '../../../base/hash.ts';
import { CwmError } from '../../../protocol/errors.ts';
import type { MessageId, ProjectUri, SessionId } from '../../../protocol/ids.ts';
import { newSession, type Message, type MessageContent, type Session } from '../../../protocol/schemas/session.ts';
import type { ToolCall } from '../../../protocol/schemas/toolCall.ts';
import type { CoreContext } from '../../context.ts';
import { memoryToolNames, offeredMemoryTools, withMemoryTools } from '../../memory/tools.ts';
import type { Generation } from '../../ports/engine.ts';
import { outputTokensOf } from '../../prompt/taken.ts';
import { newLineage } from '../../ports/lineages.ts';
import type { Reporter } from '../../ports/reporter.ts';
import type { Tool, ToolDefinition } from '../../ports/tools.ts';
import { promptText } from '../../session.ts';
import { headOf } from '../../turns/branchAt.ts';
import { converse, type Conversing } from '../../turns/converse.ts';
import { advance, isPaused } from '../../turns/machine.ts';
import { closeCalls, runCalls } from '../../turns/runCalls.ts';
import { addRecalled } from '../../turns/send.ts';
import { storeAnswer } from '../../turns/storeAnswer.ts';
import { newMessage, updateRecord, type Turn } from '../../turns/turn.ts';
import { beginTurn, resumeTurn, withTurn } from '../../turns/turns.ts';
import { placedAfter, promptId } from '../outsideTurns.ts';

/** Tag of a session whose conversation another program leads, with virtual memory. */
const rememberedTag = 'gateway-memory';

/** Something that was said, as the other program knows it. */
export interface ClientMessage {
  readonly role: Message['role'];
  readonly content: MessageContent;
}

/** A conversation that begins here, perhaps behind what was said elsewhere. */
export interface ClientStart {
  readonly project: ProjectUri | null;
  readonly engine: string;
  readonly tags: readonly string[];
  readonly system: string;
  readonly messages: readonly ClientMessage[];
}

export interface ClientTurn {
  readonly session: SessionId;
  /** The stored message that the turn continues; null: the first of the session. */
  readonly after: MessageId | null;
  readonly system: string;
  /** Of the calls of the last answer, in any order. */
  readonly results: readonly { readonly call: string; readonly text: string }[];
  /** What the user says; null: nothing, behind results or messages that are stored. */
  readonly text: string | null;
  /** The client's own: it runs them. */
  readonly tools: readonly ToolDefinition[];
  readonly toolChoice: string | undefined;
  readonly sampling: Conversing['sampling'];
}

export interface ClientAnswer {
  readonly message: MessageId;
  /** Calls that the client runs; none of the memory's. */
  readonly calls: readonly ToolCall[];
  readonly finishReason: string;
  /** Of all requests of the turn but those for summaries. Null: the server did not say. */
  readonly usage: {
    readonly promptTokens: number;
    readonly cachedTokens: number | null;
    readonly outputTokens: number | null;
  };
}

/**
 * Conversations that another program leads and the core makes the prompts of: with virtual memory, so that they may be longer than the model's
 * context. What the memory's own tools are asked for is answered here; the client sees its own calls alone.
 */
export class ClientTurns {
  readonly #core: () => CoreContext;

  constructor(core: () => CoreContext) {
    this.#core = core;
  }

  /** Makes the session. @returns it with the last of its messages. @throws CwmError Exhausted, and those of the store. */
  async begin({ project, engine, tags, system, messages }: ClientStart): Promise<{
    readonly session: SessionId;
    readonly last: MessageId | null;
  }> {
    const core = this.#core();
    const lineage = newLineage();
    const id = randomId() as SessionId;
    return core.space.sessions.take(async () => {
      await core.store.lineages.create(lineage);
      const session = newSession({
        id,
        title: id,
        tags: [rememberedTag, ...tags],
        settings: {
          memory: { enableVm: true },
          ...(system !== '' && { systemPrompt: { id: promptId, text: system } }),
        },
        project,
        engine,
        lineage: lineage.id,
        createdAt: core.clock.now().toISOString(),
      });
      await core.store.sessions.create(session);
      if (messages.length === 0) return { session: id, last: null };
      const said: Message[] = [];
      for (const { role, content } of messages) said.push(newMessage(core, said, role, content));
      await storeAnswer(core, session, { messages: said, length: said.length, ids: null, events: [], changed: {} });
      return { session: id, last: said.at(-1)?.id ?? null };
    });
  }

  /**
   * @throws CwmError InvalidTransition (results that nothing waits for, a turn under way), SessionNotFound, MessageNotFound, AlreadyFrozen,
   *   ModelMismatch, ContextTooLong, Cancelled, and the engine's. What was said stays in the session.
   */
  async answer(turn: ClientTurn, signal: AbortSignal, reporter: Reporter): Promise<ClientAnswer> {
    const core = this.#core();
    const usage = { promptTokens: 0, cachedTokens: null as number | null, outputTokens: 0 as number | null };
    const onAnswer = ({ promptIds, outputIds, outputTokens, reuse }: Generation): void => {
      usage.promptTokens += promptIds.length || reuse.promptTokens;
      const written = outputTokensOf({ outputIds, outputTokens });
      usage.outputTokens = written === null || usage.outputTokens === null ? null : usage.outputTokens + written;
      if (reuse.cachedTokens !== null) usage.cachedTokens = (usage.cachedTokens ?? 0) + reuse.cachedTokens;
    };
    const tools = turn.tools.map((tool): Tool => ({ ...tool, readsOnly: false, isDestructive: false }));
    const { sampling, toolChoice } = turn;
    const conversing = { sampling, toolChoice, continueFrom: undefined, reporter, client: { tools, onAnswer } };
    const said = await withTurn(
      core,
      turn.session,
      signal,
      (session, signal) => converseAs(core, session, turn, conversing, signal),
      { decides: true },
    );
    core.checkpoints.afterTurn(turn.session);
    return {
      message: said.messageId,
      calls: (said.pendingTools?.calls ?? [])
        .filter(({ name }) => tools.some((tool) => tool.name === name) && !memoryToolNames.has(name))
        .map(({ id, name, arguments: given }) => ({ id, name, arguments: given })),
      finishReason: said.pendingTools ? 'tool_calls' : said.finishReason,
      usage,
    };
  }

  /** The sessions of this kind that were used last, with what their clients know of them. A damaged one is left out. */
  async known(most: number): Promise<readonly { readonly session: Session; readonly messages: readonly Message[] }[]> {
    const core = this.#core();
    const { items } = await core.store.sessions.list({ limit: 100, offset: 0 });
    const own = items.filter(({ tags = [] }) => tags.includes(rememberedTag)).slice(0, most);
    return (
      await Promise.all(
        own.map(async (session) => {
          const messages = await core.conversations.of(session).catch(() => null);
          return messages === null ? [] : [{ session, messages }];
        }),
      )
    ).flat();
  }
}

async function converseAs(
  core: CoreContext,
  given: Session,
  { after, system, results, text }: ClientTurn,
  conversing: Conversing,
  signal: AbortSignal,
) {
  const isAnswered = isPaused(given) && headOf(given) === after && results.length > 0;
  if (results.length > 0 && !isAnswered)
    throw new CwmError('InvalidTransition', 'No call of the conversation waits for these results.');
  const rested = isPaused(given) && !isAnswered ? await closeCalls(core, given, 'cancel') : given;
  const placed = isAnswered ? rested : await placedAfter(core, rested, after);
  const session =
    promptText(placed) === (system || null)
      ? placed
      : await updateRecord(core, placed, {
          settings: { ...placed.settings, systemPrompt: { id: promptId, text: system } },
        });
  const turn = isAnswered
    ? await withResults(core, session, results, conversing, signal)
    : await beginTurn(core, session, session.engine, text, signal);
  if (!isAnswered && text !== null) await addRecalled(core, turn, text, signal);
  const question = text === null ? null : newMessage(core, turn.messages, 'user', { type: 'text', text });
  const round = isAnswered && !question ? (given.pendingTools?.round ?? 0) + 1 : 1;
  return converse(core, turn, { added: question ? [question] : [], inPool: !question, round }, conversing, signal);
}

/** The turn that waited for the client, behind the results of all its calls: those of the memory run now. */
async function withResults(
  core: CoreContext,
  session: Session,
  results: ClientTurn['results'],
  { sampling, reporter, client }: Conversing,
  signal: AbortSignal,
): Promise<Turn> {
  const turn = await resumeTurn(core, session, session.engine, signal);
  const { pendingTools } = session;
  const calls = (pendingTools?.calls ?? []).map((call) => {
    const result = results.find(({ call: id }) => id === call.id);
    if (result) return { ...call, decision: 'approved' as const, answer: result.text.toWellFormed() };
    return call.why === undefined
      ? call
      : { ...call, decision: 'denied' as const, reason: 'The client gave no result.' };
  });
  turn.session = await updateRecord(core, advance(session, 'runTools'), {
    pendingTools: { round: pendingTools?.round ?? 1, calls },
  });
  const offered = withMemoryTools(client?.tools ?? [], await offeredMemoryTools(core, turn, null, signal));
  const tools = new Map(offered.map((tool) => [tool.name, tool]));
  await runCalls(core, turn, { tools, maxTokens: sampling.maxTokens, reporter }, signal);
  return turn;
}

/** What the client knows of a conversation, each message with the place that it ends at: without what only the memory did. */
export function asClientKnows(messages: readonly Message[]): (ClientMessage & { readonly id: MessageId })[] {
  const known: (ClientMessage & { readonly id: MessageId })[] = [];
  let before = '';
  for (const { id, role, content } of messages) {
    if (content.type === 'context') continue;
    if (content.type === 'tool-result' && memoryToolNames.has(content.name)) continue;
    if (content.type !== 'tool-calls') {
      const isAnswer = role === 'assistant' && 'text' in content;
      known.push({
        id,
        role,
        content: isAnswer && before !== '' ? { ...content, text: before + content.text } : content,
      });
      if (isAnswer) before = '';
      continue;
    }
    const calls = content.calls.filter(({ name }) => !memoryToolNames.has(name));
    const text = before + content.text;
    before = calls.length === 0 ? text : '';
    if (calls.length > 0) known.push({ id, role, content: { ...content, text, calls } });
  }
  return known;
}
