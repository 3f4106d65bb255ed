import type { GenerateRequest } from '../../core/ports/engine.ts';
import { CwmError } from '../../protocol/errors.ts';
import { checkAnswer } from '../http/body.ts';
import type { Link, LinkRequest } from '../http/link.ts';
import { statusError } from '../http/status.ts';
import { chatChunkSchema, streamErrorSchema, type Usage } from './wire.ts';

const path = '/v1/chat/completions';

export const chatRequest = (model: string, request: GenerateRequest): LinkRequest => ({
  method: 'POST',
  path,
  patience: 'long',
  wrongAnswer: 'EngineFailed',
  body: {
    model,
    messages: request.messages,
    max_tokens: request.maxTokens,
    temperature: request.temperature,
    add_generation_prompt: request.addGenerationPrompt,
    cache_salt: request.salt,
    return_token_ids: true,
    stream: true,
    stream_options: { include_usage: true },
  },
});

export interface ChatAnswer {
  readonly text: string;
  /** Null when the server does not return ids. */
  readonly promptIds: readonly number[] | null;
  readonly outputIds: readonly number[] | null;
  readonly finishReason: string;
  readonly usage: Usage | null;
  readonly timeToFirstTokenMs: number | null;
  readonly serverTimeToFirstTokenMs: number | null;
  readonly triedBefore: boolean;
}

/**
 * Reads a chat to the last chunk: that is where the usage is, after the one with the finish reason.
 *
 * @throws CwmError StreamCut when the stream ends before the server says why.
 */
export async function readChat(
  link: Link,
  request: LinkRequest,
  onDelta: (text: string) => void,
  elapsedMs: () => number,
  signal: AbortSignal,
): Promise<ChatAnswer> {
  const startedMs = elapsedMs();
  let text = '';
  let promptIds: readonly number[] | null = null;
  let outputIds: number[] | null = null;
  let finishReason: string | null = null;
  let usage: Usage | null = null;
  let firstTokenMs: number | null = null;
  let serverTimeToFirstTokenMs: number | null = null;
  let triedBefore = false;

  for await (const event of link.events(request, () => firstTokenMs !== null, signal)) {
    triedBefore = event.triedBefore;
    const chunk = parseChunk(event.data, link, request);
    promptIds ??= chunk.prompt_token_ids ?? null;
    usage = chunk.usage ?? usage;
    serverTimeToFirstTokenMs = chunk.metrics?.time_to_first_token_ms ?? serverTimeToFirstTokenMs;
    const choice = chunk.choices[0];
    if (!choice) continue;
    const delta = choice.delta?.content ?? '';
    if (choice.token_ids) (outputIds ??= []).push(...choice.token_ids);
    if (delta !== '' || (choice.token_ids?.length ?? 0) > 0) firstTokenMs ??= elapsedMs();
    finishReason = choice.finish_reason ?? finishReason;
    text += delta;
    if (delta !== '') onDelta(delta);
  }
  if (finishReason === null)
    throw new CwmError('StreamCut', `The model server at ${link.label} ended its answer without a reason to.`);
  return {
    text,
    promptIds,
    outputIds,
    finishReason,
    usage,
    timeToFirstTokenMs: firstTokenMs === null ? null : firstTokenMs - startedMs,
    serverTimeToFirstTokenMs,
    triedBefore,
  };
}

function parseChunk(data: string, link: Link, request: LinkRequest) {
  const { label } = link;
  const what = `A chunk of the answer of ${label} to ${path}`;
  let value: unknown;
  try {
    value = JSON.parse(data);
  } catch (cause) {
    throw new CwmError('EngineFailed', `${what} is not JSON.`, { cause });
  }
  const failure = streamErrorSchema.safeParse(value);
  if (failure.success) {
    const status = Number(failure.data.error.code);
    throw statusError({
      status: status >= 400 && status < 600 ? status : 500,
      location: null,
      text: link.withoutSecrets(request, data),
      label,
      path,
      keySent: true,
    });
  }
  return checkAnswer(value, chatChunkSchema, 'EngineFailed', what);
}
