import type { OnPiece } from '../../../core/ports/engine.ts';
import type { ToolCall } from '../../../protocol/schemas/toolCall.ts';
import { CwmError, isCwmError } from '../../../protocol/errors.ts';
import { checkAnswer, quoted } from '../../http/body.ts';
import type { StreamEvent } from '../../http/events.ts';
import { StreamedCalls } from '../../toolCalls/toolWire.ts';
import type { Link, LinkRequest } from '../../http/link.ts';
import { parseJson } from '../../http/parseJson.ts';
import { streamFailure } from '../../http/streamFailure.ts';
import { contentText, plainText } from './contentText.ts';
import { chatChunkSchema, type ChatChunk, type TokenUsage } from '../wire.ts';

export interface ChatAnswer {
  readonly text: string;
  /** The model's reasoning, where the server separates it from the answer. */
  readonly reasoning: string;
  readonly toolCalls: readonly ToolCall[];
  /** Null when the server does not return ids. */
  readonly promptIds: readonly number[] | null;
  /** Null also when the server left some out: when a text came without ids, or with fewer than the server counts. */
  readonly outputIds: readonly number[] | null;
  /** `length` when the answer was cut at its limit, whatever word the server uses. */
  readonly finishReason: string;
  readonly usage: TokenUsage | null;
  readonly timeToFirstTokenMs: number | null;
  readonly serverTimeToFirstTokenMs: number | null;
  readonly triedBefore: boolean;
}

/**
 * Reads a chat to the last chunk, which has the usage and follows the one with the finish reason. An answer is whole when the server says
 * why it ended, or that nothing follows: some servers say only one of the two. When the connection breaks after that, the evidence still to
 * come is lost, not the answer.
 *
 * @throws CwmError StreamCut when the stream ends before that, EngineFailed and others for a failure that the server reports.
 */
export async function readChat(
  link: Link,
  request: LinkRequest,
  onPiece: OnPiece,
  elapsedMs: () => number,
  signal: AbortSignal,
): Promise<ChatAnswer> {
  const startedMs = elapsedMs();
  let text = '';
  let reasoning = '';
  const called = new StreamedCalls();
  let promptIds: readonly number[] | null = null;
  let outputIds: number[] | null = null;
  let finishReason: string | null = null;
  let hasEnded = false;
  let usage: TokenUsage | null = null;
  let firstTokenMs: number | null = null;
  let serverTimeToFirstTokenMs: number | null = null;
  let triedBefore = false;
  let isStrange = false;
  let isIncomplete = false;
  let hasSaid = false;
  const isWhole = (): boolean => hasEnded || finishReason !== null;
  const progress = () => (isWhole() ? 'ended' : firstTokenMs === null ? 'waiting' : 'begun');

  try {
    for await (const event of link.events(request, progress, signal)) {
      triedBefore = event.triedBefore;
      hasEnded ||= event.isEnd;
      if (event.isEnd) break;
      const chunk = parseChunk(event, link, request);
      if (chunk === null) continue;
      hasSaid = true;
      usage = chunk.usage ?? usage;
      serverTimeToFirstTokenMs = chunk.metrics?.time_to_first_token_ms ?? serverTimeToFirstTokenMs;
      const choice = firstChoice(chunk);
      const told: readonly number[] | undefined = chunk.prompt_token_ids ?? choice?.prompt_token_ids ?? undefined;
      if (told && !promptIds) onPiece({ promptIds: told });
      promptIds ??= told ?? null;
      isStrange = (chunk.choices ?? undefined) === undefined && chunk.usage === undefined && firstTokenMs === null;
      if (!choice) continue;
      // An answer that came in one piece, where a stream was asked for.
      hasEnded ||= Boolean(choice.message);
      const said = saidIn(choice);
      const toolCall = called.push((choice.delta ?? choice.message)?.tool_calls);
      if (choice.token_ids) (outputIds ??= []).push(...choice.token_ids);
      else isIncomplete ||= said.text !== '' || said.reasoning !== '';
      if (said.text !== '' || said.reasoning !== '' || toolCall !== '' || (choice.token_ids?.length ?? 0) > 0)
        firstTokenMs ??= elapsedMs();
      finishReason = choice.finish_reason || finishReason;
      reasoning += said.reasoning;
      text += said.text;
      if (said.text !== '' || said.reasoning !== '' || toolCall !== '' || choice.token_ids)
        onPiece({ ...said, toolCall, ids: choice.token_ids ?? [] });
    }
  } catch (error) {
    if (!isWhole() || !isCwmError(error, 'StreamCut', 'EngineTimeout')) throw error;
  }
  if (!isWhole() && isStrange)
    throw new CwmError('EngineFailed', `The model server at ${link.label} sent no answer to ${request.path}.`);
  if (!isWhole() && !hasSaid)
    throw new CwmError('StreamCut', `The model server at ${link.label} ended its answer before it said anything.`);
  if (!isWhole())
    throw new CwmError('StreamCut', `The model server at ${link.label} ended its stream in the middle of the answer.`);
  return {
    text: text.toWellFormed(),
    reasoning: reasoning.toWellFormed(),
    toolCalls: called.calls,
    promptIds,
    outputIds: isIncomplete || isFewer(outputIds, usage) ? null : outputIds,
    finishReason: commonReason(finishReason),
    usage,
    timeToFirstTokenMs: firstTokenMs === null ? null : firstTokenMs - startedMs,
    serverTimeToFirstTokenMs,
    triedBefore,
  };
}

/** Null for a value that can hold nothing of an answer: a number, an empty list. */
function parseChunk(event: StreamEvent, link: Link, request: LinkRequest): ChatChunk | null {
  const { label } = link;
  const what = `A chunk of the answer of ${label} to ${request.path}`;
  let value: unknown;
  try {
    value = parseJson(event.data);
  } catch (cause) {
    const failure = event.name === 'error' ? streamFailure(event, event.data, link, request) : null;
    throw failure ?? new CwmError('EngineFailed', `${what} is not JSON${quoted(event.data)}.`, { cause });
  }
  const failure = streamFailure(event, value, link, request);
  if (failure) throw failure;
  if (value === null || typeof value === 'number' || typeof value === 'boolean') return null;
  if (Array.isArray(value) && value.length === 0) return null;
  if (typeof value === 'string') throw new CwmError('EngineFailed', `${what} is no answer${quoted(value)}.`);
  return checkAnswer(value, chatChunkSchema, 'EngineFailed', what);
}

const isFewer = (ids: readonly number[] | null, usage: TokenUsage | null): boolean =>
  ids !== null && typeof usage?.completion_tokens === 'number' && usage.completion_tokens !== ids.length;

type Choice = NonNullable<ChatChunk['choices']>[number];

/** One answer is asked for; a server that gives several numbers them. */
const firstChoice = ({ choices }: ChatChunk): Choice | undefined => choices?.find(({ index }) => (index ?? 0) === 0);

function saidIn({ delta, message, text }: Choice): { readonly text: string; readonly reasoning: string } {
  const piece = delta ?? message ?? { content: text };
  const { said, thought } = contentText(piece.content);
  const reasoning = [piece.reasoning_content, piece.reasoning, piece.thinking].map(plainText).find((it) => it !== '');
  return { text: said + plainText(piece.refusal), reasoning: (reasoning ?? '') + thought };
}

/** The words of servers for an answer that reached its limit. */
const cutReasons = /^(length|limit|max_?_?(output_|completion_|new_)?(tokens|length|context)|model_length)$/i;

const commonReason = (reason: string | null): string =>
  reason === null ? 'stop' : cutReasons.test(reason) ? 'length' : reason;
