import type { GenerateRequest } from '../../../core/ports/engine.ts';
import { callSchema } from '../../toolCalls/callSchema.ts';
import { wireToolChoice, wireTools } from '../../toolCalls/toolWire.ts';
import type { LinkRequest } from '../../http/link.ts';
import { wireMessages } from '../../toolCalls/wireMessages.ts';

/**
 * A request for one answer to a conversation, with every field that any server uses; `Dialect` leaves out the fields that this one refuses.
 *
 * @param isStrict as {@link wireTools}.
 */
export const chatRequest = (model: string, request: GenerateRequest, isStrict = false): LinkRequest => ({
  method: 'POST',
  path: '/v1/chat/completions',
  patience: 'long',
  wrongAnswer: 'EngineFailed',
  callerRetries: request.callerRetries === true,
  body: {
    model,
    messages: wireMessages(request.messages),
    ...wireTools(request.tools, isStrict),
    ...wireToolChoice(request),
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

/** The same for a server that renders tools but knows nothing of calls: it shows their marks, and a call that must come is JSON of a schema. */
export function textCallsRequest(model: string, request: GenerateRequest): LinkRequest {
  const { tools = [], toolChoice = 'auto' } = request;
  const sent = chatRequest(model, { ...request, toolChoice: 'auto' });
  const schema = toolChoice === 'auto' ? null : callSchema(tools, toolChoice);
  const more = {
    skip_special_tokens: false,
    ...(schema && { response_format: { type: 'json_schema', json_schema: { name: 'call', schema } } }),
  };
  return { ...sent, body: { ...(sent.body as object), ...more } };
}

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
  callerRetries: request.callerRetries === true,
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
