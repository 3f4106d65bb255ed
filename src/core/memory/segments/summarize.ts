import { unlessAborted } from '../../../base/unlessAborted.ts';
import { isCwmError, nullOn } from '../../../protocol/errors.ts';
import type { MessageId } from '../../../protocol/ids.ts';
import type { Message } from '../../../protocol/schemas/session.ts';
import type { CoreContext } from '../../context.ts';
import type { ToolDefinition } from '../../ports/tools.ts';
import { planPrompt, type PromptPlan } from '../../prompt/planPrompt.ts';
import { renderConversation } from '../../prompt/prompt.ts';
import { hasPictures, saltWithPictures } from '../../prompt/pictures.ts';
import { systemPromptOf } from '../../session.ts';
import { tokensTaken } from '../../prompt/taken.ts';
import { textOf } from '../page.ts';
import { countText } from './count.ts';
import type { Remembering } from '../remembering.ts';

/** After this a summary is not waited for any longer, in milliseconds. */
const patienceMs = 120_000;
/** Characters of an answer by which the model knows it again. */
const quoteCharacters = 60;

interface Summarizing {
  /** The conversation as the last prompt had it. */
  readonly shown: readonly Message[];
  /** Of the last prompt: a prompt that lists others is cold from its beginning on. */
  readonly tools: readonly ToolDefinition[];
  /** Tokens that the limit leaves beside the conversation and these tools: for the instruction and the summary. */
  readonly besideTools: number;
  /** The last message to summarise; what follows it stays in the prompt. */
  readonly last: Message;
  /** Of the summary. */
  readonly maxTokens: number;
}

/**
 * Has the model summarise the beginning of the conversation. The request is the last prompt and one more message, so that all of it but that
 * message is warm.
 *
 * @returns null where the model does not give a usable one in time; the caller then has its own way.
 * @throws CwmError Cancelled.
 */
export async function summarize(
  core: CoreContext,
  turn: Remembering,
  { shown, tools, besideTools, last, maxTokens }: Summarizing,
  signal: AbortSignal,
): Promise<string | null> {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), patienceMs);
  try {
    const request = instruction(last, maxTokens, shown.at(-1));
    const either = AbortSignal.any([signal, late.signal]);
    const plan = await planSummary(core, turn, shown, request, either);
    // The ids have the tools already. In the middle of a turn, the conversation may be too long for them: the request is cold then.
    const needed =
      plan.kind === 'ids' || tools.length === 0 ? 0 : await countText(turn.engine, textOf(request), either);
    const listed = needed + maxTokens <= besideTools ? tools : [];
    const conversation = [...shown, request];
    const generation = await unlessAborted(
      turn.engine.generate(
        {
          messages: renderConversation(systemPromptOf(turn.session), conversation),
          salt: saltWithPictures(turn.salt, conversation),
          maxTokens,
          temperature: 0,
          addGenerationPrompt: true,
          // A model that calls one of them has made no summary.
          ...(plan.kind === 'ids' ? { promptIds: plan.promptIds, reasoning: plan.reasoning } : { tools: listed }),
        },
        () => undefined,
        either,
      ),
      late.signal,
    );
    core.took(turn.session.id, tokensTaken(turn.description, generation));
    return usable(generation.text, generation.finishReason, maxTokens);
  } catch (error) {
    signal.throwIfAborted();
    // The answer is worth more than its summary: a failure of the server meets the answer's own request again.
    if (late.signal.aborted || isCwmError(error)) return null;
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

function instruction(last: Message, maxTokens: number, before: Message | undefined): Message {
  const words = Math.max(20, Math.floor(maxTokens * 0.6));
  const begins = textOf(last).replaceAll(/\s+/g, ' ').trim().slice(0, quoteCharacters).toWellFormed();
  const text =
    `Summarise our conversation up to and including the message that begins with ${JSON.stringify(begins)}, in at most ${words} words. ` +
    'Name decisions, facts, names, numbers and open questions. Write only the summary.';
  return {
    id: 'summary' as MessageId,
    role: 'user',
    parentId: before?.id ?? null,
    sequence: (before?.sequence ?? 0) + 1,
    content: { type: 'text', text },
    createdAt: last.createdAt,
  };
}

async function planSummary(
  core: CoreContext,
  { session, engine, description, messages }: Remembering,
  shown: readonly Message[],
  request: Message,
  signal: AbortSignal,
): Promise<PromptPlan> {
  const { tokens } = session;
  const byTemplate: PromptPlan = { kind: 'template', rendered: null, why: null };
  if (!tokens || !description.takesTokenIds || hasPictures(shown)) return byTemplate;
  const ids = await nullOn(core.store.sessions.loadTokens(session.id, tokens.sha256), 'Corrupted');
  if (!ids) return byTemplate;
  const planned = { system: systemPromptOf(session), ids, tokens, old: shown, covered: messages.length };
  return planPrompt(engine, description, { ...planned, added: [request], addGenerationPrompt: true }, signal);
}

/** A server may ignore the limit: a summary that is much longer than asked for is cut at its last whole sentence. */
function usable(text: string, finishReason: string, maxTokens: number): string | null {
  const most = maxTokens * 6;
  const plain = text.replaceAll(/\s+/g, ' ').trim();
  const isCut = finishReason === 'length' || plain.length > most;
  const short = isCut ? plain.slice(0, most).replace(/[^.!?]*$/u, '') : plain;
  const whole = short === '' ? plain.slice(0, most).toWellFormed() : short;
  return /\p{L}{2}/u.test(whole) ? whole.trim() : null;
}
