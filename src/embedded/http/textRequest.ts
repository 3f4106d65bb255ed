import { randomInt } from 'node:crypto';
import type { EngineModel } from '../engineModel.ts';
import { ApiError } from './apiError.ts';
import type { TextRequest } from './generateText.ts';
import { schemaOf, type GenerationFields } from './requests.ts';

/** vLLM's default, and its limit of alternatives. */
const defaultTemperature = 1;
const maxLogprobs = 20;

/** Ids that end an answer because the request named them; all others that do are the model's own. */
export const namedEndIds = (request: GenerationFields): ReadonlySet<number> => new Set(request.stop_token_ids ?? []);

/** What a completion and a chat each say in their own fields. */
interface Asked {
  readonly promptIds: readonly number[];
  /** As the client asked for; null for all that the context has room for. */
  readonly maxTokens: number | null;
  readonly topLogprobs: number | null;
  /** Texts that end an answer besides those that the request names. Default: none. */
  readonly moreStops?: readonly string[];
}

/**
 * The engine's task for these fields.
 *
 * @throws ApiError 400 when the prompt is empty, too long, or holds ids that the model does not have.
 */
export function textRequest(
  model: EngineModel,
  request: GenerationFields,
  { promptIds, maxTokens, topLogprobs, moreStops = [] }: Asked,
): TextRequest {
  const { contextTokens, vocabularySize, endIds } = model.info;
  if (promptIds.length === 0) throw new ApiError(400, 'The prompt is empty.');
  const unknown = promptIds.find((id) => id >= vocabularySize);
  if (unknown !== undefined) throw new ApiError(400, `Token id ${unknown} is out of vocabulary.`);
  if (maxTokens !== null && maxTokens < 1) throw new ApiError(400, `max_tokens must be at least 1, got ${maxTokens}.`);
  const wanted = promptIds.length + (maxTokens ?? 1);
  if (wanted > contextTokens) {
    throw new ApiError(
      400,
      `This model's maximum context length is ${contextTokens} tokens. However, you requested ${wanted} tokens ` +
        `(${promptIds.length} in the prompt, ${maxTokens ?? 1} in the completion). Please reduce the length of either.`,
    );
  }
  if (topLogprobs !== null && topLogprobs > maxLogprobs) {
    throw new ApiError(400, `Requested ${topLogprobs} logprobs, which is more than the ${maxLogprobs} allowed.`);
  }
  const schema = schemaOf(request);
  if (schema && topLogprobs !== null) throw new ApiError(400, 'An answer of a schema has no logprobs.');
  const stops = request.stop ?? [];
  return {
    promptIds,
    salt: request.cache_salt ?? null,
    maxTokens: maxTokens ?? contextTokens - promptIds.length,
    sampling: {
      temperature: request.temperature ?? defaultTemperature,
      topP: request.top_p ?? 1,
      seed: request.seed ?? randomInt(2 ** 31),
    },
    topLogprobs,
    schema,
    endIds: new Set([...(request.ignore_eos === true ? [] : endIds), ...(request.stop_token_ids ?? [])]),
    stopStrings: [...(typeof stops === 'string' ? [stops] : stops), ...moreStops],
  };
}
