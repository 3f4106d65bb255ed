import { isCwmError } from '../../../protocol/errors.ts';
import type { ContextTokens, Message } from '../../../protocol/schemas/session.ts';
import { partTokens } from '../../prompt/messageParts.ts';
import type { ToolDefinition } from '../../ports/tools.ts';
import type { ChatMessage, Engine } from '../../ports/engine.ts';

type Counter = Pick<Engine, 'tokenize'>;

/** Where a server cannot count: most text has more bytes a token, so that the estimate is too high rather than too low. */
const bytesPerToken = 3;
/** Models take some 250 to 1,500. */
const tokensOfPicture = 1600;

const estimateTokens = (text: string): number => Math.ceil(bytesOf(text) / bytesPerToken);

const bytesOf = (text: string): number => new TextEncoder().encode(text).length;

/** Tokens of a prompt, as the engine counts them; an estimate where it cannot. @throws CwmError Cancelled, EngineUnavailable. */
export async function countPrompt(
  engine: Counter,
  messages: readonly ChatMessage[],
  addGenerationPrompt: boolean,
  signal: AbortSignal,
): Promise<number> {
  const counted = await countOrNull(engine, messages, addGenerationPrompt, signal);
  const text = counted ?? messages.reduce((sum, message) => sum + estimateTokens(textOfChat(message)), 0);
  return text + pictureTokens(messages);
}

export const countText = (engine: Counter, text: string, signal: AbortSignal): Promise<number> =>
  countPrompt(engine, [{ role: 'user', content: text }], false, signal);

/** A list of tools, written as JSON: templates write about as much. */
export const countTools = async (
  engine: Counter,
  tools: readonly ToolDefinition[],
  signal: AbortSignal,
): Promise<number> => (tools.length === 0 ? 0 : countText(engine, JSON.stringify(tools), signal));

/** The tokens that the model generated of a message; null: none, as of files that it only read, or they are not known. */
const answerTokens = ({ context }: Pick<Message, 'context'>): number | null =>
  isWhole(context) && context.count > context.promptCount ? context.count - context.promptCount : null;

/** What the stored ids tell: an answer's own tokens, those of files that the model read, and those of the one message before either. */
export function knownCount(messages: readonly Message[], at: number): number | null {
  const message = messages[at];
  if (!message) return null;
  const generated = answerTokens(message);
  if (generated !== null) return generated;
  const before = messages[at - 1]?.context;
  const until = message.context ?? messages[at + 1]?.context;
  if (!isWhole(before) || !isWhole(until) || !sameSegments(until, before)) return null;
  return until.promptCount > before.count ? until.promptCount - before.count : null;
}

const isWhole = (tokens: ContextTokens | undefined): tokens is ContextTokens =>
  tokens !== undefined && tokens.source !== 'none' && !tokens.cut;

export const sameSegments = (
  { segments: one = [] }: Pick<ContextTokens, 'segments'>,
  { segments: other = [] }: Pick<ContextTokens, 'segments'>,
): boolean => one.length === other.length && one.every((id, at) => id === other[at]);

async function countOrNull(
  engine: Counter,
  messages: readonly ChatMessage[],
  addGenerationPrompt: boolean,
  signal: AbortSignal,
): Promise<number | null> {
  try {
    return (await engine.tokenize(messages, addGenerationPrompt, signal)).length;
  } catch (error) {
    // Some servers cannot count, and some templates refuse a message that stands alone.
    if (signal.aborted || !isCwmError(error) || isCwmError(error, 'Cancelled', 'EngineUnavailable')) throw error;
    return null;
  }
}

/** What pictures and other parts take, as a guess on the high side: servers count the text alone. */
export const pictureTokens = (messages: readonly ChatMessage[]): number =>
  messages.reduce((sum, { media = [], parts = [] }) => sum + media.length * tokensOfPicture + partTokens(parts), 0);

/** The bytes of what messages add to a prompt: hardly ever fewer than their tokens, but for the template's own. */
export const mostTokens = (messages: readonly ChatMessage[]): number =>
  messages.reduce((sum, message) => sum + bytesOf(textOfChat(message)), 0) + pictureTokens(messages);

const textOfChat = ({ content, toolCalls }: ChatMessage): string =>
  toolCalls ? content + JSON.stringify(toolCalls) : content;
