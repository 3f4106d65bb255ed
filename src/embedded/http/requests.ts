import * as z from 'zod/mini';
import { ApiError } from './apiError.ts';

const optional = <Schema extends z.ZodMiniType>(schema: Schema) => z.optional(z.nullable(schema));
const count = z.int().check(z.nonnegative());
// One check for the whole list: 100,000 ids take a millisecond.
export const tokenIds = z.custom<number[]>(
  (value) => Array.isArray(value) && value.every((id) => Number.isInteger(id) && id >= 0),
  'expected a list of token ids',
);

/** Fields that completions and chats have in common. Others are ignored, as vLLM does. */
const generationFields = {
  model: optional(z.string()),
  temperature: optional(z.number().check(z.nonnegative())),
  top_p: optional(z.number().check(z.positive(), z.maximum(1))),
  seed: optional(z.int()),
  stop: optional(z.union([z.string(), z.array(z.string())])),
  stop_token_ids: optional(tokenIds),
  ignore_eos: optional(z.boolean()),
  stream: optional(z.boolean()),
  stream_options: optional(z.object({ include_usage: optional(z.boolean()) })),
  return_token_ids: optional(z.boolean()),
  return_tokens_as_token_ids: optional(z.boolean()),
  /** False shows special tokens in the text. Default true. */
  skip_special_tokens: optional(z.boolean()),
  response_format: optional(
    z.object({
      type: z.string(),
      json_schema: optional(z.object({ schema: optional(z.record(z.string(), z.unknown())) })),
    }),
  ),
  cache_salt: optional(z.string()),
  n: optional(z.number()),
  echo: optional(z.boolean()),
  prompt_logprobs: optional(z.number()),
  truncate_prompt_tokens: optional(z.number()),
  max_tokens: optional(z.int()),
} as const;

export const completionRequestSchema = z.object({
  ...generationFields,
  prompt: z.union([z.string(), tokenIds, z.array(z.string()), z.array(tokenIds)]),
  add_special_tokens: optional(z.boolean()),
  suffix: optional(z.string()),
  logprobs: optional(count),
  /** An addition to vLLM's dialect, for a request over a context as a whole: see `GenerationRequest.tail`. */
  cwm_tail: optional(z.enum(['load', 'store'])),
});
export type CompletionRequest = z.infer<typeof completionRequestSchema>;

/** The chat template reads every other field of a message, such as tool calls. */
const messageSchema = z.looseObject({
  role: z.string(),
  content: optional(z.union([z.string(), z.array(z.looseObject({ type: z.string(), text: optional(z.string()) }))])),
});
export type RequestMessage = z.infer<typeof messageSchema>;

const templateFields = {
  messages: z.array(messageSchema).check(z.minLength(1)),
  add_generation_prompt: optional(z.boolean()),
  continue_final_message: optional(z.boolean()),
  chat_template: optional(z.string()),
  chat_template_kwargs: optional(z.record(z.string(), z.unknown())),
  tools: optional(z.array(z.unknown())),
} as const;

export const chatRequestSchema = z.object({
  ...generationFields,
  ...templateFields,
  max_completion_tokens: optional(z.int()),
  logprobs: optional(z.boolean()),
  top_logprobs: optional(count),
});
export type ChatRequest = z.infer<typeof chatRequestSchema>;
export type GenerationFields = Pick<CompletionRequest, keyof typeof generationFields>;
export type TemplateFields = Pick<ChatRequest, keyof typeof templateFields>;

export const tokenizeRequestSchema = z.union([
  z.object({
    model: optional(z.string()),
    prompt: z.string(),
    add_special_tokens: optional(z.boolean()),
    return_token_strs: optional(z.boolean()),
  }),
  z.object({ model: optional(z.string()), ...templateFields, return_token_strs: optional(z.boolean()) }),
]);

export const detokenizeRequestSchema = z.object({ model: optional(z.string()), tokens: tokenIds });

/** @throws ApiError 400 that names the first field that is wrong. */
export function parseRequest<Schema extends z.ZodMiniType>(schema: Schema, body: unknown): z.infer<Schema> {
  const result = schema.safeParse(body);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const where = issue && issue.path.length > 0 ? ` at "${issue.path.join('.')}"` : '';
  throw new ApiError(400, `The request is not valid${where}: ${issue?.message ?? 'it is not an object'}.`);
}

/** The JSON schema that the answer follows; null for none. */
export function schemaOf({ response_format: format }: Pick<GenerationFields, 'response_format'>): object | null {
  if (format?.type === 'json_object') return { type: 'object' };
  return format?.type === 'json_schema' ? (format.json_schema?.schema ?? {}) : null;
}

/** @throws ApiError 400 for features that this engine lacks and must not ignore. */
export function refuseUnsupported(request: GenerationFields & { readonly suffix?: string | null | undefined }): void {
  const refuse = (what: string): never => {
    throw new ApiError(400, `${what} is not supported by this engine.`);
  };
  if (request.n !== undefined && request.n !== null && request.n !== 1) refuse('`n` other than 1');
  if (request.echo === true) refuse('`echo`');
  if ((request.prompt_logprobs ?? null) !== null) refuse('`prompt_logprobs`');
  if ((request.truncate_prompt_tokens ?? null) !== null) refuse('`truncate_prompt_tokens`');
  if ((request.suffix ?? null) !== null) refuse('`suffix`');
  const { response_format: format } = request;
  if (format && format.type !== 'text' && format.type !== 'json_schema' && format.type !== 'json_object')
    refuse(`\`response_format\` of type "${format.type}"`);
  if (request.cache_salt === '') {
    throw new ApiError(400, "Parameter 'cache_salt' must be a non-empty string if provided.");
  }
  if ((request.stream_options ?? null) !== null && request.stream !== true) {
    throw new ApiError(400, 'Stream options can only be defined when `stream=True`.');
  }
}
