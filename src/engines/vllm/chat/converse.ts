import type { GenerateRequest, OnPiece } from '../../../core/ports/engine.ts';
import { isCwmError } from '../../../protocol/errors.ts';
import type { Link, LinkRequest } from '../../http/link.ts';
import { roomForAnswer } from './answerRoom.ts';
import { readChat, type ChatAnswer } from './chat.ts';
import { chatRequest, idsRequest, textCallsRequest } from './chatRequest.ts';
import type { Dialect } from '../dialect.ts';
import { ReasoningSplitter } from './reasoningSplitter.ts';
import { TextCalls } from '../../toolCalls/textCalls.ts';
import { tokenizeChat } from './tokenize.ts';

export interface Conversing {
  readonly link: Link;
  readonly model: string;
  readonly maxModelLen: number | null;
  readonly dialect: Dialect;
  /** Texts that end an answer. The server knows them by itself in chats only. */
  readonly stops: readonly string[];
  readonly elapsedMs: () => number;
  /** The server renders tools, and does not tell their calls apart. */
  readonly leavesCallsInText: boolean;
  /** It can enforce the schemas of arguments. */
  readonly enforcesSchemas: boolean;
}

export interface Conversed {
  readonly answer: ChatAnswer;
  /** The request that succeeded in the end: maybe with a shorter answer, or without a message of the assistant at the end. */
  readonly request: GenerateRequest;
}

/**
 * Gets one answer, in the form that the server takes: without fields that it refuses, in the room that its context leaves, and, where only
 * a prompt is to be computed, without an assistant's message at the end.
 *
 * @throws CwmError as {@link readChat}, and the server's refusal.
 */
export async function converse(
  conversing: Conversing,
  request: GenerateRequest,
  onPiece: OnPiece,
  signal: AbortSignal,
): Promise<Conversed> {
  let hasBegun = false;
  const hear: OnPiece = (piece) => {
    hasBegun ||= Boolean(piece.text) || Boolean(piece.reasoning) || Boolean(piece.toolCall);
    onPiece(piece);
  };
  try {
    return await ask(conversing, request, hear, signal);
  } catch (error) {
    const other = hasBegun ? null : await otherRequest(conversing, request, error, signal);
    if (other === null) throw error;
    return ask(conversing, other, hear, signal);
  }
}

async function ask(
  { link, model, dialect, stops, elapsedMs, leavesCallsInText, enforcesSchemas }: Conversing,
  request: GenerateRequest,
  onPiece: OnPiece,
  signal: AbortSignal,
): Promise<Conversed> {
  const { promptIds } = request;
  const read = (fitting: LinkRequest, hear: OnPiece): Promise<ChatAnswer> =>
    readChat(link, fitting, hear, elapsedMs, signal);
  if (!promptIds) {
    const tools = request.tools ?? [];
    if (!leavesCallsInText || tools.length === 0) {
      const sent = chatRequest(model, request, enforcesSchemas);
      return { answer: await dialect.ask(sent, (fitting) => read(fitting, onPiece)), request };
    }
    const sent = textCallsRequest(model, request);
    const found = new TextCalls(tools.map(({ name }) => name));
    const answer = await dialect.ask(sent, (fitting) =>
      read(fitting, (piece) => onPiece({ ...piece, ...found.push(piece.text ?? '') })),
    );
    onPiece(found.end());
    const { calls, told, reasoning } = found;
    const text = calls.length === 0 ? told : told.trimEnd();
    return { answer: { ...answer, text, reasoning: answer.reasoning + reasoning, toolCalls: calls }, request };
  }
  const splitter = new ReasoningSplitter(request.reasoning ?? 'text');
  let text = '';
  const hear = (said: string, ids: readonly number[]): void => {
    text += said;
    onPiece({ text: said, reasoning: splitter.takeReasoning(), ids });
  };
  onPiece({ promptIds });
  const sent = idsRequest(model, { ...request, promptIds }, stops);
  const answer = await dialect.ask(sent, (fitting) =>
    read(fitting, ({ text = '', ids = [] }) => hear(splitter.push(text), ids)),
  );
  hear(splitter.end(), []);
  return { answer: { ...answer, text: text.toWellFormed(), reasoning: splitter.reasoning.toWellFormed() }, request };
}

/** The request to send after this one was refused; null when there is none. */
async function otherRequest(
  { link, model, maxModelLen }: Conversing,
  request: GenerateRequest,
  refusal: unknown,
  signal: AbortSignal,
): Promise<GenerateRequest | null> {
  const { messages, addGenerationPrompt, maxTokens } = request;
  if (isCwmError(refusal, 'ContextTooLong') && maxTokens > 1) {
    const promptIds =
      request.promptIds ?? (await tokenizeChat(link, model, messages, addGenerationPrompt, signal).catch(() => null));
    const room = roomForAnswer(refusal, { promptTokens: promptIds?.length ?? null, maxModelLen });
    return room !== null && room < maxTokens ? { ...request, maxTokens: room } : null;
  }
  // Servers of thinking models refuse to continue an answer, and take this request for a continuation.
  const endsWithAnswer = messages.at(-1)?.role === 'assistant' && messages.length > 1;
  return isCwmError(refusal, 'EngineRejected') && !request.promptIds && !addGenerationPrompt && endsWithAnswer
    ? { ...request, messages: messages.slice(0, -1) }
    : null;
}
