import type { GenerateRequest } from '../../../core/ports/engine.ts';
import { wireTools } from '../../http/toolWire.ts';
import type { LinkRequest } from '../../http/link.ts';
import { openAiMessages } from '../../../core/ports/openAiMessages.ts';

/**
 * A request for one answer to a conversation, with every field that any server uses; `Dialect` leaves out the fields that this one refuses.
 */
export const chatRequest = (model: string, request: GenerateRequest): LinkRequest => ({
  method: 'POST',
  path: '/v1/chat/completions',
  patience: 'long',
  wrongAnswer: 'EngineFailed',
  body: {
    model,
    messages: openAiMessages(request.messages),
    ...wireTools(request.tools),
    max_tokens: request.maxTokens,
    temperature: request.temperature,
    ...drawing(request, []),
    add_generation_prompt: request.addGenerationPrompt,
    cache_salt: request.salt,
    return_token_ids: true,
    stream: true,
    stream_options: { include_usage: true },
  },
});

/**
 * A request for one answer to exact token ids, which no chat template changes.
 *
 * @param stops texts that end an answer where the model has no token for that.
 */
export const idsRequest = (
  model: string,
  request: GenerateRequest & { readonly promptIds: readonly number[] },
  stops: readonly string[],
): LinkRequest => ({
  method: 'POST',
  path: '/v1/completions',
  patience: 'long',
  wrongAnswer: 'EngineFailed',
  body: {
    model,
    prompt: request.promptIds,
    max_tokens: request.maxTokens,
    temperature: request.temperature,
    ...drawing(request, stops),
    cache_salt: request.salt,
    return_token_ids: true,
    stream: true,
    stream_options: { include_usage: true },
  },
});

/** Only fields that differ from the server's defaults: a server may refuse each one that is sent. */
const drawing = ({ topP, stop = [], seed }: GenerateRequest, stops: readonly string[]): object => ({
  ...(topP !== undefined && { top_p: topP }),
  ...(stops.length + stop.length > 0 && { stop: [...stops, ...stop] }),
  ...(seed !== undefined && { seed }),
});
