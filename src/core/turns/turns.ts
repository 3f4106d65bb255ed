import { randomId } from '../../base/hash.ts';
import type { RouteInput } from '../../protocol/api.ts';
import type { SendResult } from '../../protocol/schemas/turn.ts';
import { CwmError, nullOn, toCwmError } from '../../protocol/errors.ts';
import { parseSessionId, type MessageId, type SessionId } from '../../protocol/ids.ts';
import type { Message, MessageContent, MessageRole, PrefixBreak, Session } from '../../protocol/schemas/session.ts';
import type { CoreContext } from '../context.ts';
import { requireSameModel } from '../identity.ts';
import { moveLifecycle, requireOpen } from '../lifecycle.ts';
import { saltOf } from '../lineage.ts';
import { answerNotes, requireAnswer } from './answer.ts';
import { nearLimitNotes } from './nearLimit.ts';
import { advance, settled, type TurnEvent } from './machine.ts';
import type { Engine, EngineDescription, GenerateRequest, Generation } from '../ports/engine.ts';
import { findPrefixBreak } from '../prompt/prefixBreak.ts';
import type { Reporter } from '../reporter.ts';
import { renderPrompt } from '../prompt/prompt.ts';
import { activeMessageIds, requireSession } from '../session.ts';
import { requireWellFormed } from '../prompt/wellFormed.ts';

const defaultAnswerTokens = 256;
const maxAnswerTokens = 32_768;

/**
 * One turn: the user's text goes to the engine with the whole conversation, and both messages are kept once the answer is
 * there. Until then the text is kept as the session's draft, so that a failure, an abort or a crash loses no word of it.
 *
 * @throws CwmError InvalidSessionId, InvalidParameter, SessionNotFound, InvalidTransition (a turn is under way), AlreadyFrozen (frozen), ModelMismatch, ContextTooLong, and the engine's.
 */
export async function send(
  core: CoreContext,
  input: RouteInput<'send'>,
  signal: AbortSignal,
  reporter: Reporter,
): Promise<SendResult> {
  const started = core.clock.elapsedMs();
  const id = parseSessionId(input.session);
  const text = input.text;
  if (text.trim() === '') throw new CwmError('InvalidParameter', 'The message is empty.');
  requireWellFormed(text, 'The message');
  const maxTokens = parseMaxTokens(input.maxTokens);
  const temperature = parseTemperature(input.temperature);
  return withTurn(core, id, signal, async (session) => {
    const spec = input.engine ?? session.engine;
    const turn = await beginTurn(core, session, spec, text, signal);
    const userMessage = newMessage(core, turn.messages, 'user', { type: 'text', text });
    const messages = [...turn.messages, userMessage];
    const options = { maxTokens, temperature, onText: reporter.text };
    const generation = await generateOrKeepDraft(core, turn, messages, options, signal);

    const { reasoning = '' } = generation;
    const said = { type: 'text', text: generation.text, ...(reasoning !== '' && { reasoning }) } as const;
    const answer = newMessage(core, messages, 'assistant', said);
    const { session: kept, prefixBreak } = await keepTurn(core, turn, [userMessage, answer], generation, signal);
    return {
      session: id,
      fromVersion: session.version,
      version: kept.version,
      text: generation.text,
      messageId: answer.id,
      promptTokens: generation.promptIds.length || generation.reuse.promptTokens,
      outputIds: [...generation.outputIds],
      cachedTokens: generation.reuse.cachedTokens,
      finishReason: generation.finishReason,
      timeToFirstTokenMs: generation.reuse.timeToFirstTokenMs,
      ms: core.clock.elapsedMs() - started,
      prefixBreak,
      notes: [
        ...answerNotes(generation, maxTokens),
        ...nearLimitNotes(kept.tokens?.count ?? 0, turn.description.model),
      ],
    };
  });
}

function parseMaxTokens(value: number | undefined): number {
  const maxTokens = value ?? defaultAnswerTokens;
  if (Number.isInteger(maxTokens) && maxTokens >= 1 && maxTokens <= maxAnswerTokens) return maxTokens;
  throw new CwmError('InvalidParameter', `"maxTokens" must be a whole number from 1 to ${maxAnswerTokens}.`);
}

/** Greedy unless asked otherwise: an answer can then be held against the one before a thaw. */
function parseTemperature(value: number | undefined): number {
  const temperature = value ?? 0;
  if (temperature >= 0 && temperature <= 2) return temperature;
  throw new CwmError('InvalidParameter', '"temperature" must be a number from 0 to 2.');
}

/** Runs one turn of a session; a second one meanwhile is refused, not queued (S4-50). */
export async function withTurn<T>(
  core: CoreContext,
  id: SessionId,
  signal: AbortSignal,
  task: (session: Session) => Promise<T>,
): Promise<T> {
  if (core.turns.isBusy(id)) {
    throw new CwmError('InvalidTransition', `Session "${id}" is busy with another operation.`);
  }
  return core.turns.run(
    id,
    async () => {
      const session = await requireSession(core, id);
      requireOpen(session, core.clock.now());
      return task(settled(session));
    },
    signal,
  );
}

/** A turn under way, and what it works with. */
export interface Turn {
  /** As stored last, but for the phase, which is that of this moment. */
  session: Session;
  readonly engine: Engine;
  readonly description: EngineDescription;
  readonly messages: readonly Message[];
  readonly salt: string;
}

/** Asks the engine what it is, and writes down that a turn has begun and with which text. */
export async function beginTurn(
  core: CoreContext,
  session: Session,
  spec: string,
  draft: string | null,
  signal: AbortSignal,
): Promise<Turn> {
  const engine = core.engines.get(spec);
  await core.trackers.use(session.id, (tracker) => tracker.beforeTurn(session));
  const begun = await update(core, advance(session, 'send', 'request'), {
    draft: draft ?? session.draft,
    engine: spec,
  });
  try {
    const description = await engine.describe(signal);
    requireSameModel(session.model, description.model);
    const messages = await core.store.loadMessages(session.id, activeMessageIds(session));
    const lineage = await core.store.getLineage(session.lineage);
    return { session: begun, engine, description, messages, salt: saltOf(lineage) };
  } catch (error) {
    await endFailedTurn(core, { session: begun }, error, { engine: session.engine });
    throw error;
  }
}

async function generateOrKeepDraft(
  core: CoreContext,
  turn: Turn,
  messages: readonly Message[],
  options: Omit<GenerateOptions, 'addGenerationPrompt'>,
  signal: AbortSignal,
): Promise<Generation> {
  try {
    return await generate(core, turn, messages, { ...options, addGenerationPrompt: true }, signal);
  } catch (error) {
    const failure = toCwmError(error);
    throw new CwmError(failure.name, failure.message, {
      hint: `${failure.hint} Your text is saved as a draft.`,
      context: { ...failure.context, draftKept: true },
      cause: error,
    });
  }
}

interface GenerateOptions extends Pick<GenerateRequest, 'maxTokens' | 'temperature' | 'addGenerationPrompt'> {
  /** Hears the answer's pieces. Default: only its whole text is wanted. */
  readonly onText?: (piece: string) => void;
}

/** On failure the session is idle again, as it was before the turn but for its draft. */
export async function generate(
  core: CoreContext,
  turn: Turn,
  messages: readonly Message[],
  { onText, ...options }: GenerateOptions,
  signal: AbortSignal,
): Promise<Generation> {
  try {
    const generation = await turn.engine.generate(
      { messages: renderPrompt(messages), salt: turn.salt, ...options },
      (text) => {
        if (turn.session.phase === 'AwaitingLLMResponse') turn.session = advance(turn.session, 'stream');
        onText?.(text);
      },
      signal,
    );
    if (options.addGenerationPrompt) requireAnswer(generation, options.maxTokens);
    turn.session = advance(turn.session, 'streamed');
    core.prefill.observe(turn.engine.spec, generation.reuse);
    return generation;
  } catch (error) {
    await endFailedTurn(core, turn, error);
    throw error;
  }
}

/** Ends a turn that `error` stopped: the session is idle again. When that cannot be stored, the session's next operation recovers it. */
export async function endFailedTurn(
  core: CoreContext,
  turn: Pick<Turn, 'session'>,
  error: unknown,
  changed: Changed = {},
): Promise<void> {
  const isCancelled = toCwmError(error).name === 'Cancelled';
  const events: TurnEvent[] = isCancelled ? ['cancel'] : ['fail', 'abandon'];
  try {
    turn.session = await update(core, advance(turn.session, ...events), changed);
  } catch {
    // The error that stopped the turn says more, and the caller throws it.
  }
}

/**
 * Writes what a turn brought: messages, then token ids, then the version of the session that names both. On failure the session is
 * as it was before the turn but for its draft.
 */
export async function keepTurn(
  core: CoreContext,
  turn: Turn,
  added: readonly Message[],
  generation: Generation,
  signal: AbortSignal,
): Promise<{ session: Session; prefixBreak: PrefixBreak | null }> {
  try {
    return await writeTurn(core, turn, added, generation, signal);
  } catch (error) {
    await endFailedTurn(core, turn, error);
    throw error;
  }
}

async function writeTurn(
  core: CoreContext,
  turn: Turn,
  added: readonly Message[],
  generation: Generation,
  signal: AbortSignal,
): Promise<{ session: Session; prefixBreak: PrefixBreak | null }> {
  const { session, description, engine } = turn;
  const id = session.id;
  const keepsOutput = added.some((message) => message.role === 'assistant');
  const output = keepsOutput ? generation.outputIds : [];
  const ids = [...generation.promptIds, ...output];
  const before = generation.promptIds.length > 0 ? await tokensBefore(core, session) : null;
  const prefixBreak =
    session.tokens && before
      ? await findPrefixBreak(
          { before, beforeTokens: session.tokens, prompt: generation.promptIds, messages: turn.messages },
          engine,
          signal,
        )
      : null;
  await core.store.appendMessages(id, added);
  const sha256 = await core.store.saveTokens(id, ids);
  const branch = session.branches[session.activeBranch];
  const messageIds = [...activeMessageIds(session), ...added.map((message) => message.id)];
  const kept = await update(core, advance(session, 'answered'), {
    lifecycle: session.lifecycle === 'thawed' ? moveLifecycle('thawed', 'active') : session.lifecycle,
    model: description.model,
    branches: { ...session.branches, ...(branch && { [branch.name]: { ...branch, messageIds } }) },
    tokens: {
      count: ids.length,
      promptCount: generation.promptIds.length,
      sha256,
      source: generation.promptIds.length === 0 ? 'none' : generation.idsSource,
      messageCount: messageIds.length,
      ...(generation.cut && { cut: generation.cut }),
    },
    draft: keepsOutput ? null : session.draft,
    prefixBreaks: session.prefixBreaks + (prefixBreak ? 1 : 0),
  });
  return { session: kept, prefixBreak };
}

/** Null also when the ids are damaged: the turn only compares the engine's answer with them, and then replaces them. */
const tokensBefore = async (core: CoreContext, { id, tokens }: Session): Promise<number[] | null> =>
  tokens && nullOn(core.store.loadTokens(id, tokens.sha256), 'Corrupted');

export function newMessage(
  core: CoreContext,
  before: readonly Message[],
  role: MessageRole,
  content: MessageContent,
): Message {
  const last = before.at(-1);
  return {
    id: randomId() as MessageId,
    role,
    parentId: last?.id ?? null,
    sequence: (last?.sequence ?? 0) + 1,
    content,
    createdAt: core.clock.now().toISOString(),
  };
}

type Changed = Partial<Omit<Session, 'phase'>>;

async function update(core: CoreContext, session: Session, changed: Changed): Promise<Session> {
  const next = { ...session, ...changed, updatedAt: core.clock.now().toISOString(), version: session.version + 1 };
  await core.store.updateSession(next);
  return next;
}
