import type { GenerateRequest, OnPiece } from '../../../core/ports/engine.ts';
import { CwmError } from '../../../protocol/errors.ts';
import { checkAnswer, quoted } from '../../http/body.ts';
import type { StreamEvent } from '../../http/events.ts';
import type { Link, LinkRequest } from '../../http/link.ts';
import { parseJson } from '../../http/parseJson.ts';
import { streamFailure } from '../../http/streamFailure.ts';
import { callSchema } from '../../toolCalls/callSchema.ts';
import { callMarks } from '../../toolCalls/textCalls.ts';
import type { PicturePrompt } from './chatPrompt.ts';
import { checkSlot } from '../completion.ts';
import type { SlotUse } from '../slots/homeSlot.ts';
import { chunkSchema, type Chunk, type Timings } from '../wire.ts';

const path = '/completion';

/**
 * The raw completion, not the chat: its prompt is token ids, so they are known exactly, except beside pictures. Progress is not asked for, because those
 * chunks carry an id that is none.
 */
export const streamRequest = (
  prompt: readonly number[] | PicturePrompt,
  { maxTokens, temperature, topP, stop, seed, tools = [], toolChoice = 'auto', callerRetries = false }: GenerateRequest,
  { slot, reuse }: SlotUse,
): LinkRequest => ({
  method: 'POST',
  path,
  patience: 'long',
  wrongAnswer: 'EngineFailed',
  callerRetries,
  body: {
    prompt,
    id_slot: slot,
    cache_prompt: reuse,
    n_predict: maxTokens,
    temperature,
    ...(topP !== undefined && { top_p: topP }),
    ...(stop && stop.length > 0 && { stop }),
    ...(seed !== undefined && { seed }),
    // The server hides tokens like "[TOOL_CALLS]" in texts, but for those that it is told to show.
    ...(tools.length > 0 && { preserved_tokens: callMarks }),
    ...(tools.length > 0 && toolChoice !== 'auto' && { json_schema: callSchema(tools, toolChoice) }),
    stream: true,
    return_tokens: true,
  },
});

export interface StreamedText {
  readonly text: string;
  /** Null when the server sent fewer ids than it made tokens: it leaves out those inside a character of several tokens. */
  readonly outputIds: readonly number[] | null;
  /** By the server's own count; null: it does not say. */
  readonly outputTokens: number | null;
  /** The id that ended the answer, where one did. */
  readonly endId: number | null;
  readonly finishReason: string;
  readonly timings: Timings | null;
  readonly timeToFirstTokenMs: number | null;
  readonly triedBefore: boolean;
}

interface TextReading {
  readonly link: Link;
  readonly request: LinkRequest;
  /** The slot that must have worked. */
  readonly use: SlotUse;
  readonly onPiece: OnPiece;
  /** The monotonic clock, in milliseconds. */
  readonly elapsedMs: () => number;
}

/**
 * Reads an answer to its last chunk. Its end is the chunk that says `stop`; nothing follows it.
 *
 * @throws CwmError StreamCut when the stream ends before that.
 */
export async function readText(
  { link, request, use, onPiece, elapsedMs }: TextReading,
  signal: AbortSignal,
): Promise<StreamedText> {
  const startedMs = elapsedMs();
  const ids: number[] = [];
  let text = '';
  let firstTokenMs: number | null = null;
  const progress = () => (firstTokenMs === null ? 'waiting' : 'begun');
  for await (const event of link.events(request, progress, signal)) {
    if (event.isEnd) break;
    const { triedBefore } = event;
    const chunk = parseChunk(event, link, request);
    ids.push(...(chunk.tokens ?? []));
    text += chunk.content;
    if (chunk.content !== '' || ids.length > 0) firstTokenMs ??= elapsedMs();
    onPiece({ text: chunk.content, ids: chunk.tokens ?? [] });
    if (!chunk.stop) continue;
    checkSlot(chunk.id_slot, use, link.label);
    const isComplete = chunk.tokens_predicted === ids.length;
    return {
      text,
      outputIds: isComplete ? ids : null,
      outputTokens: chunk.tokens_predicted ?? null,
      endId: chunk.stop_type === 'eos' ? (ids.at(-1) ?? null) : null,
      finishReason: chunk.stop_type === 'limit' ? 'length' : 'stop',
      timings: chunk.timings ?? null,
      timeToFirstTokenMs: firstTokenMs === null ? null : firstTokenMs - startedMs,
      triedBefore,
    };
  }
  throw new CwmError('StreamCut', `llama-server at ${link.label} ended its answer without saying so.`);
}

function parseChunk(event: StreamEvent, link: Link, request: LinkRequest): Chunk {
  const what = `A chunk of the answer of ${link.label} to ${path}`;
  let value: unknown;
  try {
    value = parseJson(event.data);
  } catch (cause) {
    throw new CwmError('EngineFailed', `${what} is not JSON${quoted(event.data)}.`, { cause });
  }
  const failure = streamFailure(event, value, link, request);
  if (failure) throw failure;
  return checkAnswer(value, chunkSchema, 'EngineFailed', what);
}
