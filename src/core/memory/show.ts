import { formatCount } from '../../base/format.ts';
import { sha256Hex } from '../../base/hash.ts';
import { CwmError } from '../../protocol/errors.ts';
import type { ContextTokens, Message } from '../../protocol/schemas/session.ts';
import type { CoreContext } from '../context.ts';
import type { ToolDefinition } from '../ports/tools.ts';
import { isExcerpted } from '../prompt/excerpt.ts';
import { renderConversation, renderPrompt } from '../prompt/prompt.ts';
import { systemPromptOf } from '../session.ts';
import { budgetOf, limitOf, type Budget } from './segments/budget.ts';
import { countPrompt, countTools, mostTokens, pictureTokens, sameSegments } from './segments/count.ts';
import { layoutOf, nextSegment, shownOf, type Layout } from './segments/layout.ts';
import type { SessionMemory } from './memories.ts';
import { isMemoryTool } from './memoryTool.ts';
import { modelKey, type Remembering } from './remembering.ts';
import { seal } from './segments/seal.ts';

/** What the model gets of a conversation in one request. */
export interface Shown {
  /** Instead of the conversation's messages, but for those that the request adds. */
  readonly messages: readonly Message[];
  readonly layout: Layout;
  /** Of the answer. */
  readonly maxTokens: number;
  /** The layout is another one than that of the session's token ids. */
  readonly isChanged: boolean;
  /** Null: the session has no virtual memory, or nobody knows the model's limit. */
  readonly budget: Budget | null;
}

/** A request to come. */
export interface Asking {
  /** Messages that the model has not answered. */
  readonly added: readonly Message[];
  readonly maxTokens: number;
  readonly tools: readonly ToolDefinition[];
  readonly addGenerationPrompt: boolean;
  readonly progress: (step: string) => void;
}

/**
 * What the model gets of the conversation so that the request fits its limit: all of it as long as that fits. A session without virtual
 * memory always gives all of it.
 *
 * @throws CwmError ContextTooLong where nothing more can leave the prompt; nothing was sent then. Cancelled, EngineUnavailable.
 */
export async function showConversation(
  core: CoreContext,
  turn: Remembering,
  asking: Asking,
  signal: AbortSignal,
): Promise<Shown> {
  const { session, description, messages } = turn;
  const { memory: settings } = session.settings ?? {};
  const whole = { messages, layout: [], maxTokens: asking.maxTokens, isChanged: false, budget: null };
  if (!settings?.enableVm) return whole;
  let memory = await core.memories.of(session);
  memory.useModel(modelKey(turn));
  const before = layoutOf(messages, memory.segments, session.tokens);
  const limit = limitOf(description.model, settings);
  const shown = { ...whole, messages: shownOf(messages, before), layout: before };
  if (limit === null) return shown;
  const tools = await toolTokensOf(memory, turn, asking.tools, signal);
  const budget = budgetOf(limit, asking.maxTokens, tools);
  // Those of the memory come with the first message that leaves, so that the prompt before it had none of them.
  const hadMemoryTools = before.length > 0 || messages.some(isExcerpted);
  const lastTools = hadMemoryTools ? asking.tools : asking.tools.filter((tool) => !isMemoryTool(tool));
  let layout = before;
  for (;;) {
    const isKnown = layout.length > 0 || !nextSegment(messages, memory.segments, layout);
    const used = await usedBy(turn, layout, { ...asking, isKnown }, budget, signal);
    const isFull = used > budget.evictAt;
    const sealed = isFull
      ? await seal({ core, turn, memory, layout, budget, used, ...asking, tools: lastTools }, signal)
      : null;
    if (sealed) {
      if (sealed.made.length > 0) await core.memories.record(session, sealed.made);
      // Enough other sessions may have had a turn since that this one's was read once more.
      memory = await core.memories.of(session);
      ({ layout } = sealed);
      continue;
    }
    // What pictures take is a guess, at which no request fails.
    if (used - pictureTokens([...renderPrompt(shownOf(messages, layout)), ...renderPrompt(asking.added)]) > budget.room)
      throw tooLong(
        used,
        budget,
        memory.pagesOf(messages, layout).table.pinnedTokens,
        messages.length + asking.added.length,
      );
    const isChanged = session.tokens !== null && !sameSegments(session.tokens, { segments: idsOf(layout) });
    return { messages: shownOf(messages, layout), layout, maxTokens: budget.answer, isChanged, budget };
  }
}

/**
 * What the model got of a conversation whose token ids an answer continues. Nothing can leave it; the rest of the answer gets what the limit
 * leaves.
 *
 * @param taken tokens of the prompt, the beginning of the answer included.
 * @throws CwmError ContextTooLong where the limit leaves nothing.
 */
export async function showContinued(
  core: CoreContext,
  { session, description, messages }: Remembering,
  { tokens, taken, maxTokens }: Continuing,
): Promise<Shown> {
  const { memory: settings } = session.settings ?? {};
  const memory = await core.memories.of(session);
  const layout = tokens?.segments ? layoutOf(messages, memory.segments, tokens) : [];
  const shown = { messages: shownOf(messages, layout), layout, isChanged: false };
  const limit = settings?.enableVm ? limitOf(description.model, settings) : null;
  if (limit === null) return { ...shown, maxTokens, budget: null };
  const budget = budgetOf(limit, maxTokens, 0);
  const left = limit - taken;
  if (left < 1)
    throw new CwmError(
      'ContextTooLong',
      `The conversation and the beginning of the answer fill the limit of ${formatCount(limit)} tokens, so that the answer cannot continue.`,
      { hint: 'Send "Continue" for the rest: older messages can leave the prompt then.', context: { taken, limit } },
    );
  return { ...shown, maxTokens: Math.min(maxTokens, left), budget };
}

interface Continuing {
  readonly tokens: Pick<ContextTokens, 'segments'> | null;
  readonly taken: number;
  readonly maxTokens: number;
}

export const idsOf = (layout: Layout): string[] => layout.map(({ id }) => id);

/** Share of the limit that tools of the memory leave for messages: with less, the conversation is worth more than a way back. */
const leastRoomShare = 1 / 4;

/** Whether messages have room enough beside these tools. @throws CwmError Cancelled, EngineUnavailable. */
export async function leaveRoom(
  core: CoreContext,
  turn: Remembering,
  { maxTokens, tools }: Pick<Asking, 'maxTokens' | 'tools'>,
  signal: AbortSignal,
): Promise<boolean> {
  const budget = await budgetFor(core, turn, { maxTokens, tools }, signal);
  return budget === null || budget.room >= budget.limit * leastRoomShare;
}

/** How a request with these tools divides its tokens; null: nobody knows the model's limit. @throws CwmError Cancelled, EngineUnavailable. */
export async function budgetFor(
  core: CoreContext,
  turn: Remembering,
  { maxTokens, tools }: Pick<Asking, 'maxTokens' | 'tools'>,
  signal: AbortSignal,
): Promise<Budget | null> {
  const { session, description } = turn;
  const limit = limitOf(description.model, session.settings?.memory ?? { enableVm: true });
  if (limit === null) return null;
  return budgetOf(limit, maxTokens, await toolTokensOf(await core.memories.of(session), turn, tools, signal));
}

/** Lists of tools whose tokens are remembered: some clients send new descriptions of their tools with each request. */
const mostToolLists = 16;

/** Known from the last answer of this model with these tools, else counted as JSON. */
async function toolTokensOf(
  memory: SessionMemory,
  turn: Remembering,
  tools: readonly ToolDefinition[],
  signal: AbortSignal,
): Promise<number> {
  if (tools.length === 0) return 0;
  const list = tools.map(({ name, description, inputSchema }) => ({ name, description, inputSchema }));
  const key = sha256Hex(modelKey(turn) + JSON.stringify(list));
  const known = memory.toolTokens.get(key);
  if (known !== undefined) return known;
  const counted = Math.ceil((await countTools(turn.engine, tools, signal)) * 1.25) + 64;
  memory.toolTokens.set(key, counted);
  const [oldest] = memory.toolTokens.keys();
  if (memory.toolTokens.size > mostToolLists && oldest !== undefined) memory.toolTokens.delete(oldest);
  return counted;
}

interface Weighing extends Pick<Asking, 'added' | 'addGenerationPrompt'> {
  /** The layout is surely that of the session's token ids. Without segments it may be that of a session which lost their names. */
  readonly isKnown: boolean;
}

/** Tokens of the request's messages. While they are certainly few, no request is made to count them. */
async function usedBy(
  { session, engine, messages }: Remembering,
  layout: Layout,
  { added, addGenerationPrompt, isKnown }: Weighing,
  { evictAt }: Budget,
  signal: AbortSignal,
): Promise<number> {
  const { tokens } = session;
  if (
    isKnown &&
    tokens &&
    tokens.source !== 'none' &&
    !tokens.cut &&
    sameSegments(tokens, { segments: idsOf(layout) })
  ) {
    const behind = renderPrompt([...messages.slice(tokens.messageCount), ...added]);
    const most = tokens.count + mostTokens(behind) + (behind.length + 1) * tokensAround;
    if (most <= evictAt) return most;
  }
  const conversation = [...shownOf(messages, layout), ...added];
  return countPrompt(engine, renderConversation(systemPromptOf(session), conversation), addGenerationPrompt, signal);
}

/** A template writes fewer around a message. */
const tokensAround = 24;

function tooLong(used: number, { room, limit }: Budget, pinned: number, messages: number): CwmError {
  if (pinned > 0 && used - pinned <= room)
    return new CwmError(
      'PinsTooLong',
      `Pinned pages take ${formatCount(pinned)} tokens of the ${formatCount(room)} that are free for messages, so that the last messages (${formatCount(used - pinned)} tokens with the rest) do not fit beside them.`,
      { context: { used, room, limit, pinned, messages } },
    );
  return new CwmError(
    'ContextTooLong',
    `The last messages take ${formatCount(used)} tokens, and ${formatCount(room)} of the limit of ${formatCount(limit)} are free for them. Nothing more can leave the prompt.`,
    {
      hint: 'Send a shorter message, ask for a shorter answer, offer fewer tools, or give the model a longer context.',
      context: { used, room, limit, messages },
    },
  );
}

/** The segments of a request's prompt, for the record of its token ids; undefined: none. */
export const segmentsOf = ({ layout }: Pick<Shown, 'layout'>): ContextTokens['segments'] =>
  layout.length === 0 ? undefined : idsOf(layout);
