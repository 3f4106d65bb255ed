import { randomId } from '../../base/hash.ts';
import { CwmError, isCwmError, nullOn, toCwmError } from '../../protocol/errors.ts';
import type { MessageId, SessionId } from '../../protocol/ids.ts';
import type {
  ContextTokens,
  Message,
  MessageContent,
  MessageRole,
  PrefixBreak,
  Session,
} from '../../protocol/schemas/session.ts';
import type { CoreContext } from '../context.ts';
import { requireSameModel } from '../identity.ts';
import { moveLifecycle, requireOpen } from '../lifecycle.ts';
import { saltOf } from '../ports/lineages.ts';
import { requireAnswer } from './answer.ts';
import { advance, settled, type TurnEvent } from './machine.ts';
import { titleAfter } from './title.ts';
import type { Engine, EngineDescription, GenerateRequest, Generation } from '../ports/engine.ts';
import { planPrompt, refusedIds, type ContinueFrom, type PromptPlan } from '../prompt/planPrompt.ts';
import { findPrefixBreak } from '../prompt/prefixBreak.ts';
import { renderConversation, systemKey } from '../prompt/prompt.ts';
import { requireSession, systemPromptOf } from '../session.ts';

/** Runs one turn of a session. A second turn at the same time is refused, not queued (S4-50). */
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

/** A turn under way, and the records that it works with. */
export interface Turn {
  /** As last stored, with the phase of this moment. */
  session: Session;
  readonly engine: Engine;
  readonly description: EngineDescription;
  readonly messages: readonly Message[];
  readonly salt: string;
}

/** Stores the beginning of a turn and the user's text, and asks the engine for its description. */
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
    const messages = await core.conversations.of(session);
    const lineage = await core.store.lineages.get(session.lineage);
    return { session: begun, engine, description, messages, salt: saltOf(lineage) };
  } catch (error) {
    await endFailedTurn(core, { session: begun }, error, { engine: session.engine });
    throw error;
  }
}

export interface GenerateOptions extends Pick<
  GenerateRequest,
  'maxTokens' | 'temperature' | 'topP' | 'stop' | 'seed' | 'addGenerationPrompt'
> {
  /** Hears the answer's pieces. Default: only its whole text is wanted. */
  readonly onText?: ((piece: string) => void) | undefined;
  /** Default: as the core is set. */
  readonly continueFrom?: ContinueFrom | undefined;
}

/** An answer, and how its prompt was made. */
export interface Generated {
  readonly generation: Generation;
  /** Set where the prompt continued from the stored token ids and the chat template would not have. */
  readonly rerenderTokens?: number;
}

/** Asks the engine for the answer. A failure ends the turn: only the session's draft differs from before. */
export async function generate(
  core: CoreContext,
  turn: Turn,
  added: readonly Message[],
  { onText, continueFrom = core.continueFrom, ...options }: GenerateOptions,
  signal: AbortSignal,
): Promise<Generated> {
  try {
    const plan = await planTurn(core, turn, added, continueFrom, options.addGenerationPrompt, signal);
    const generated = await ask(turn, added, plan, { ...options, onText }, signal);
    const { generation } = generated;
    if (options.addGenerationPrompt) requireAnswer(generation, options.maxTokens);
    turn.session = advance(turn.session, 'streamed');
    core.prefill.observe(turn.engine.spec, generation.reuse);
    return generated;
  } catch (error) {
    await endFailedTurn(core, turn, error);
    throw error;
  }
}

/** Asks the engine to go on behind these ids, which end in the middle of an answer. A failure ends the turn. */
export async function continueIds(
  core: CoreContext,
  turn: Turn,
  cut: Message,
  promptIds: readonly number[],
  { onText, ...options }: Omit<GenerateOptions, 'continueFrom' | 'addGenerationPrompt'>,
  signal: AbortSignal,
): Promise<Generated> {
  try {
    if (!turn.description.takesTokenIds) {
      throw new CwmError(
        'EngineRejected',
        'The model server takes no token ids, so that it cannot continue an answer.',
        {
          hint: 'Send "Continue" for the rest.',
        },
      );
    }
    const plan = {
      kind: 'ids',
      promptIds,
      rendered: promptIds,
      reasoning: 'text',
      rerenderTokens: 0,
      only: true,
    } as const;
    const asked = { ...options, onText, addGenerationPrompt: true };
    const { generation } = await ask(turn, [cut], plan, asked, signal);
    turn.session = advance(turn.session, 'streamed');
    core.prefill.observe(turn.engine.spec, generation.reuse);
    return { generation };
  } catch (error) {
    await endFailedTurn(core, turn, error);
    throw error;
  }
}

const rendersAll: PromptPlan = { kind: 'template', rendered: null, why: null };

async function planTurn(
  core: CoreContext,
  { session, engine, description, messages: old }: Turn,
  added: readonly Message[],
  continueFrom: ContinueFrom,
  addGenerationPrompt: boolean,
  signal: AbortSignal,
): Promise<PromptPlan> {
  const { tokens } = session;
  if (!tokens || continueFrom === 'template' || !description.takesTokenIds) return rendersAll;
  const ids = await tokensBefore(core, session);
  return ids
    ? planPrompt(
        engine,
        description,
        { system: systemPromptOf(session), ids, tokens, old, added, addGenerationPrompt },
        signal,
      )
    : rendersAll;
}

async function ask(
  turn: Turn,
  added: readonly Message[],
  plan: PromptPlan,
  { onText, ...options }: Omit<GenerateOptions, 'continueFrom'>,
  signal: AbortSignal,
): Promise<Generated> {
  let isHeard = false;
  const hear = (text: string): void => {
    isHeard = true;
    if (turn.session.phase === 'AwaitingLLMResponse') turn.session = advance(turn.session, 'stream');
    onText?.(text);
  };
  const request = {
    messages: renderConversation(systemPromptOf(turn.session), [...turn.messages, ...added]),
    salt: turn.salt,
    ...options,
  };
  const byTemplate = async (why: string | null): Promise<Generated> => {
    const generation = await turn.engine.generate(request, hear, signal);
    return { generation: why === null ? generation : { ...generation, notes: [why, ...(generation.notes ?? [])] } };
  };
  if (plan.kind === 'template') return byTemplate(plan.why);
  try {
    const { promptIds, reasoning, rerenderTokens } = plan;
    return {
      generation: await turn.engine.generate({ ...request, promptIds, reasoning }, hear, signal),
      rerenderTokens,
    };
  } catch (error) {
    // The ids may be too many only because of text that the template drops.
    if (isHeard || plan.only || !isCwmError(error, 'EngineRejected', 'ContextTooLong', 'NotAnEngine')) throw error;
    return byTemplate(refusedIds(error.message));
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
 * Ends a turn and stores its results: messages, then token ids, then the version of the session that names both. After a failure
 * only the session's draft differs from before the turn.
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
  const ids = generation.promptIds.concat(output);
  const before = generation.promptIds.length > 0 ? await tokensBefore(core, session) : null;
  const prefixBreak =
    session.tokens && before
      ? await findPrefixBreak(
          {
            before,
            beforeTokens: session.tokens,
            prompt: generation.promptIds,
            system: systemPromptOf(session),
            messages: turn.messages,
          },
          engine,
          signal,
        )
      : null;
  const sha256 = await core.store.sessions.saveTokens(id, ids);
  const branch = session.branches[session.activeBranch];
  const length = turn.messages.length + added.length;
  const system = systemPromptOf(session);
  const tokens: ContextTokens = {
    count: ids.length,
    promptCount: generation.promptIds.length,
    sha256,
    source: generation.promptIds.length === 0 ? 'none' : generation.idsSource,
    messageCount: length,
    ...(system !== null && { system: systemKey(system) }),
    ...(generation.cut && { cut: generation.cut }),
  };
  const stored = added.map((message, index) =>
    index === added.length - 1 ? { ...message, context: tokens } : message,
  );
  // A message that gets another answer is in the pool already, and stays as it is.
  await core.store.messages.append(id, stored);
  const kept = await update(core, advance(session, 'answered'), {
    title: titleAfter(session, added),
    lifecycle: session.lifecycle === 'thawed' ? moveLifecycle('thawed', 'active') : session.lifecycle,
    model: description.model,
    branches: {
      ...session.branches,
      ...(branch && { [branch.name]: { ...branch, head: added.at(-1)?.id ?? branch.head, length } }),
    },
    tokens,
    draft: keepsOutput ? null : session.draft,
    prefixBreaks: session.prefixBreaks + (prefixBreak ? 1 : 0),
  });
  core.conversations.added(id, turn.messages, stored);
  return { session: kept, prefixBreak };
}

/** Null also when the ids are damaged: the turn only compares its prompt with them, then replaces them. */
const tokensBefore = async (core: CoreContext, { id, tokens }: Session): Promise<readonly number[] | null> =>
  tokens && nullOn(core.store.sessions.loadTokens(id, tokens.sha256), 'Corrupted');

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
  await core.store.sessions.update(next);
  return next;
}
