import { randomId } from '../../../base/hash.ts';
import { CwmError, nullOn } from '../../../protocol/errors.ts';
import type { MessageId, ProjectUri, SessionId } from '../../../protocol/ids.ts';
import { newSession, type Message, type MessageContent, type Session } from '../../../protocol/schemas/session.ts';
import type { MemorySettings } from '../../../protocol/schemas/sessionSettings.ts';
import type { ToolCall } from '../../../protocol/schemas/toolCall.ts';
import type { CoreContext } from '../../context.ts';
import { weigh } from '../../memory/pages/weigh.ts';
import { memoryToolNames } from '../../memory/memoryTool.ts';
import { offeredMemoryTools, withMemoryTools } from '../../memory/tools.ts';
import type { Generation } from '../../ports/engine.ts';
import { readParts, type GivenPart } from '../../prompt/messageParts.ts';
import { outputTokensOf } from '../../prompt/taken.ts';
import { newLineage } from '../../ports/lineages.ts';
import type { Reporter } from '../../ports/reporter.ts';
import type { Tool, ToolDefinition } from '../../ports/tools.ts';
import { nextEngine, promptText, requireSession } from '../../session.ts';
import { headOf, requireMessageOf } from '../../turns/branchAt.ts';
import { converse, type Conversing } from '../../turns/converse.ts';
import { advance, isPaused } from '../../turns/machine.ts';
import { closeCalls, runCalls } from '../../turns/runCalls.ts';
import { addRecalled } from '../../turns/send.ts';
import { storeAnswer } from '../../turns/storeAnswer.ts';
import { newMessage, updateRecord, type Turn } from '../../turns/turn.ts';
import { beginTurn, requireModel, resumeTurn, withTurn } from '../../turns/turns.ts';
import { placedAfter, promptId } from '../outside/storeOutsideTurn.ts';
import { saveDisplaced } from '../windows/saveDisplaced.ts';

/** Tag of a session whose conversation another program leads, with virtual memory. */
const rememberedTag = 'gateway-memory';

/** Something that was said, as the other program knows it. */
export interface ClientMessage {
  readonly role: Message['role'];
  readonly content: MessageContent;
}

/** As the client knows it; `id` is that of the last stored message that belongs to it, and `firstId` that of the first one. */
export interface KnownMessage extends ClientMessage {
  readonly id: MessageId;
  readonly firstId: MessageId;
}

interface KnownSession {
  readonly session: Session;
  /** Those that it was begun with, and the user's. */
  readonly tags: readonly string[];
  readonly system: string;
  readonly branches: readonly (readonly KnownMessage[])[];
}

/** A conversation that begins here. */
export interface ClientStart {
  readonly project: ProjectUri | null;
  readonly engine: string;
  readonly tags: readonly string[];
  readonly system: string;
}

export interface ClientTurn {
  readonly session: SessionId;
  readonly engine: string;
  /** The stored message that the turn continues; null: the first of the session. */
  readonly after: MessageId | null;
  readonly system: string;
  /** Of the calls of that message, in any order. Where none of the ids is known, they are those of its calls in their order. */
  readonly results: readonly { readonly call: string; readonly text: string }[];
  /** What was said behind that, here or elsewhere. */
  readonly said: readonly ClientMessage[];
  /** What the user says then; null: nothing, behind results or messages that are stored. */
  readonly text: string | null;
  /** Parts of that message which are no text. */
  readonly parts: readonly GivenPart[];
  /** What the client says that the user's last message is worth, 0 to 1; null: nothing. */
  readonly importance: number | null;
  /** The client's own: it runs them. */
  readonly tools: readonly ToolDefinition[];
  readonly toolChoice: string | undefined;
  readonly sampling: Conversing['sampling'];
  /** Becomes the {@link KnownMessage.firstId} of the answer. */
  readonly answerId: MessageId;
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

  /** Makes the session, where there is a model that answers in it. @throws CwmError Exhausted, those of the engine and of the store. */
  async begin({ project, engine, tags, system }: ClientStart, signal: AbortSignal): Promise<Session> {
    const core = this.#core();
    await core.engines.get(engine).describe(signal);
    const memory = await memoryOf(core, project, signal);
    const lineage = newLineage();
    const id = randomId() as SessionId;
    return core.space.sessions.take(async () => {
      await core.store.lineages.create(lineage);
      const session = newSession({
        id,
        title: id,
        tags: [rememberedTag, ...tags],
        settings: {
          memory,
          ...(system !== '' && { systemPrompt: { id: promptId, text: system } }),
        },
        project,
        engine,
        lineage: lineage.id,
        createdAt: core.clock.now().toISOString(),
      });
      await core.store.sessions.create(session);
      return session;
    });
  }

  /**
   * @throws CwmError InvalidTransition (a turn under way, or it has expired), SessionNotFound, MessageNotFound (also of calls that results name),
   *   AlreadyFrozen, ModelMismatch, ContextTooLong, Cancelled, and the engine's. What was said stays in the session.
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
    // A client that has tools of the memory's names cannot be told its calls from the memory's.
    const offered = turn.tools.filter(({ name }) => !memoryToolNames.has(name));
    const tools = offered.map((tool): Tool => ({ ...tool, readsOnly: false, isDestructive: false }));
    const { sampling, toolChoice, answerId } = turn;
    const client = { tools, onAnswer, answerId };
    const conversing = { sampling, toolChoice, continueFrom: undefined, reporter, client };
    await saveDisplaced(core, { session: turn.session, engine: turn.engine }, signal);
    await core.warmings.makeReady(turn.session, signal);
    const said = await withTurn(
      core,
      turn.session,
      signal,
      (session, signal) => converseAs(core, session, turn, conversing, signal),
      { decides: true },
    ).finally(() => {
      core.checkpoints.afterTurn(turn.session);
      core.meaning.afterTurn(turn.session);
    });
    return {
      message: said.messageId,
      calls: (said.pendingTools?.calls ?? [])
        .filter(({ name }) => tools.some((tool) => tool.name === name))
        .map(({ id, name, arguments: given }) => ({ id, name, arguments: given })),
      finishReason: said.pendingTools ? 'tool_calls' : said.finishReason,
      usage,
    };
  }

  /** What the client knows up to one of its messages, on whichever branch; null: there is none. @throws CwmError SessionNotFound, Corrupted. */
  async saidUpTo(id: SessionId, message: MessageId): Promise<readonly KnownMessage[] | null> {
    const core = this.#core();
    for (const branch of (await branchesOf(core, await requireSession(core, id))).reverse()) {
      const said = asClientKnows(branch);
      const at = said.findIndex((each) => each.id === message);
      if (at !== -1) return said.slice(0, at + 1);
    }
    return null;
  }

  /** What the client knows of the conversation, as it stands. @throws CwmError SessionNotFound, Corrupted. */
  async said(id: SessionId): Promise<readonly KnownMessage[]> {
    const core = this.#core();
    return asClientKnows(await core.conversations.of(await requireSession(core, id)));
  }

  /**
   * The sessions of this kind that were used last, with what their clients know of each branch, the active one last. A damaged one is left out.
   *
   * @throws CwmError ReadFailed.
   */
  async known(most: number): Promise<readonly KnownSession[]> {
    const core = this.#core();
    const own: Session[] = [];
    for (let offset = 0; own.length < most; offset += 100) {
      const { items } = await core.store.sessions.list({ limit: 100, offset });
      own.push(...items.filter(({ tags = [] }) => tags.includes(rememberedTag)));
      if (items.length < 100) break;
    }
    const known: KnownSession[] = [];
    for (const session of own.slice(0, most)) {
      const branches = await branchesOf(core, session).catch(() => []);
      known.push({
        session,
        tags: (session.tags ?? []).filter((tag) => tag !== rememberedTag),
        system: promptText(session) ?? '',
        branches: branches.map(asClientKnows),
      });
    }
    return known;
  }
}

/** With the policy, the mode and the limit of the project. A configuration that is wrong costs no conversation. */
async function memoryOf(core: CoreContext, project: ProjectUri | null, signal: AbortSignal): Promise<MemorySettings> {
  const found = project && (await nullOn(core.folders.config(project, signal), 'InvalidParameter', 'OperationTimeout'));
  return { ...found?.config.memory, enableVm: true };
}

/** The messages of each branch, the active one last. @throws CwmError Corrupted. */
async function branchesOf(core: CoreContext, session: Session): Promise<(readonly Message[])[]> {
  const { id, activeBranch, branches } = session;
  const active = await core.conversations.of(session);
  const read = new Map(active.map((message) => [message.id, message]));
  const found: (readonly Message[])[] = [];
  for (const { name, head } of Object.values(branches)) {
    if (name === activeBranch) continue;
    const ids = await core.store.messages.chain(id, head);
    const unread = ids.filter((each) => !read.has(each));
    for (const message of await core.store.messages.load(id, unread)) read.set(message.id, message);
    found.push(ids.flatMap((each) => read.get(each) ?? []));
  }
  return [...found, active];
}

async function converseAs(
  core: CoreContext,
  given: Session,
  turn: ClientTurn,
  conversing: Conversing,
  signal: AbortSignal,
) {
  const { after, engine, system, text } = turn;
  const parts = readParts(turn.parts);
  const called = after === null || turn.results.length === 0 ? null : await requireMessageOf(core, given, after);
  const calls = called && 'calls' in called.content ? called.content.calls : [];
  const results = resultsOf(calls, turn.results);
  const isAnswered = isPaused(given) && headOf(given) === after && results.length > 0;
  // Nothing is stored in a session that cannot go on here.
  await requireModel(core, given, engine, signal);
  const rested = isPaused(given) && !isAnswered ? await closeCalls(core, given, 'cancel') : given;
  // The calls may have results already, and the client others: they stand beside them.
  const isBeside = results.length > 0 && !isAnswered;
  const place = isBeside ? after : await behindResults(core, rested, after);
  const placed = isAnswered ? rested : await placedAfter(core, rested, place);
  const session =
    promptText(placed) === (system || null)
      ? placed
      : await updateRecord(core, placed, {
          settings: { ...placed.settings, systemPrompt: { id: promptId, text: system } },
        });
  const ofCalls = isBeside ? calls.map((call) => resultMessage(call, results)) : [];
  const said = [...ofCalls, ...turn.said];
  const content = text === null ? null : { type: 'text' as const, text, ...(parts.length > 0 && { parts }) };
  const going = isAnswered
    ? await withResults(core, session, { engine, results }, conversing, signal)
    : await beginTurn(core, await withSaid(core, session, said), engine, content, signal);
  if (isAnswered && said.length > 0) {
    going.session = await withSaid(core, going.session, said);
    going.messages = await core.conversations.of(going.session);
  }
  if (!isAnswered && text !== null) await addRecalled(core, going, text, signal);
  const question = content && newMessage(core, going.messages, 'user', content);
  const round = isAnswered && !question ? (given.pendingTools?.round ?? 0) + 1 : 1;
  const asked = { added: question ? [question] : [], inPool: !question, round };
  const answered = await converse(core, going, asked, conversing, signal);
  const message =
    question ?? going.messages.findLast(({ role, content }) => role === 'user' && content.type === 'text');
  if (message && turn.importance !== null) await weigh(core, session, [{ message, importance: turn.importance }]);
  return answered;
}

/** @throws CwmError MessageNotFound where a result is of none of the calls. */
function resultsOf(calls: readonly ToolCall[], results: ClientTurn['results']): ClientTurn['results'] {
  const isKnown = ({ call }: { readonly call: string }): boolean => calls.some(({ id }) => id === call);
  if (results.every(isKnown)) return results;
  const own = calls.filter(({ name }) => !memoryToolNames.has(name));
  if (own.length === results.length && !results.some(isKnown))
    return results.map(({ text }, at) => ({ call: own[at]!.id, text }));
  throw new CwmError('MessageNotFound', 'No call of the conversation waits for these results.');
}

function resultMessage({ id, name }: ToolCall, results: ClientTurn['results']): ClientMessage {
  const text = results.find(({ call }) => call === id)?.text;
  const result = { type: 'tool-result', call: id, name } as const;
  return {
    role: 'tool',
    content:
      text === undefined
        ? { ...result, text: 'The call has no result here.', outcome: 'interrupted' }
        : { ...result, text: text.toWellFormed(), outcome: 'done' },
  };
}

/** The last of the results that stand behind a message: clients know none of those that only the core gave, and templates refuse calls without. */
async function behindResults(core: CoreContext, session: Session, after: MessageId | null): Promise<MessageId | null> {
  if (after === null) return null;
  const { content } = await requireMessageOf(core, session, after);
  if (!('calls' in content) && content.type !== 'tool-result') return after;
  const active = await core.conversations.of(session);
  const isActive = active.some(({ id }) => id === after);
  const there = isActive
    ? active
    : (await branchesOf(core, session)).find((branch) => branch.some(({ id }) => id === after));
  let at = there?.findIndex(({ id }) => id === after) ?? 0;
  while (there?.[at + 1]?.content.type === 'tool-result') at++;
  return there?.[at]?.id ?? after;
}

/** The session with more messages at its end. */
async function withSaid(core: CoreContext, session: Session, said: readonly ClientMessage[]): Promise<Session> {
  if (said.length === 0) return session;
  const before = [...(await core.conversations.of(session))];
  const length = before.length;
  for (const { role, content } of said) before.push(newMessage(core, before, role, content));
  const messages = before.slice(length);
  const added = { messages, length: before.length, ids: null, events: [], changed: {} };
  const { session: stored } = await storeAnswer(core, session, added);
  return stored;
}

/** The turn that waited for the client, behind the results of all its calls: those of the memory run now. */
async function withResults(
  core: CoreContext,
  session: Session,
  { engine, results }: Pick<ClientTurn, 'engine' | 'results'>,
  { sampling, reporter, client }: Conversing,
  signal: AbortSignal,
): Promise<Turn> {
  const turn = await resumeTurn(core, session, engine, signal);
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
    ...nextEngine(session, engine),
  });
  const offered = withMemoryTools(client?.tools ?? [], await offeredMemoryTools(core, turn, null, signal));
  const tools = new Map(offered.map((tool) => [tool.name, tool]));
  await runCalls(core, turn, { tools, maxTokens: sampling.maxTokens, reporter }, signal);
  return turn;
}

/** What the client knows of a conversation, each message with the place that it ends at: without what only the core did. */
function asClientKnows(messages: readonly Message[]): KnownMessage[] {
  const known: KnownMessage[] = [];
  let before = '';
  let first: MessageId | null = null;
  for (const [at, { id, role, content }] of messages.entries()) {
    if (content.type === 'context') continue;
    if (role === 'user') first = null;
    if (content.type === 'tool-result' && !isOfClient(content)) continue;
    if (content.type !== 'tool-calls') {
      const isAnswer = role === 'assistant' && 'text' in content;
      known.push({
        id,
        firstId: isAnswer ? (first ?? id) : id,
        role,
        content: isAnswer && before !== '' ? { ...content, text: before + content.text } : content,
      });
      if (isAnswer) [before, first] = ['', null];
      continue;
    }
    const calls = content.calls.filter((call) => !memoryToolNames.has(call.name) && !hasFailed(messages, at, call));
    const text = before + content.text;
    const firstId: MessageId = first ?? id;
    [before, first] = calls.length === 0 ? [text, firstId] : ['', null];
    if (calls.length > 0) known.push({ id, firstId, role, content: { ...content, text, calls } });
  }
  return known;
}

type Result = Extract<MessageContent, { readonly type: 'tool-result' }>;

/** A client gives no results but those that are done. */
const isOfClient = ({ name, outcome }: Result): boolean => !memoryToolNames.has(name) && outcome === 'done';

/** Whether it was a call of a tool that nobody has, which the model was told at once. */
function hasFailed(messages: readonly Message[], at: number, { id }: ToolCall): boolean {
  for (let next = at + 1; ; next++) {
    const content = messages[next]?.content;
    if (content?.type !== 'tool-result') return false;
    if (content.call === id) return content.outcome === 'failed';
  }
}
