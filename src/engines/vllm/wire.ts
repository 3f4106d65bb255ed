import * as z from 'zod/mini';
import { hashProfileSchema } from '../../protocol/schemas/window.ts';

/** What of vLLM's answers is read. Everything optional is missing in some version or on some server that speaks the same dialect. */
const count = z.int().check(z.nonnegative());
/** One check for the whole array: a schema for each of 32K ids takes a millisecond. */
const ids = z.custom<number[]>((value) => Array.isArray(value) && value.every((id) => Number.isInteger(id) && id >= 0));
const maybe = <Schema extends z.ZodMiniType>(schema: Schema) => z.optional(z.nullable(schema));

export const versionSchema = z.object({ version: z.string() });

/** What the embedded engine adds to its model's entry. */
export const embeddedInfoSchema = z.object({
  fingerprint: maybe(z.string()),
  /** Absolute path of the folder with the block files. */
  blockDir: maybe(z.string()),
  blockTokens: maybe(count),
  blockSizeBytes: maybe(count),
  hashProfile: maybe(hashProfileSchema),
  notice: maybe(z.string()),
});

export const modelsSchema = z.object({
  data: z.array(
    z.object({
      id: z.string(),
      owned_by: maybe(z.string()),
      root: maybe(z.string()),
      /** A LoRA adapter names its base model here. */
      parent: maybe(z.string()),
      max_model_len: maybe(count),
      cwm: maybe(embeddedInfoSchema),
    }),
  ),
});
export type ModelEntry = z.infer<typeof modelsSchema>['data'][number];

/** `cached_tokens`: null or absent is "not observed", never 0 (vLLM without `--enable-prompt-tokens-details`). */
const usageSchema = z.object({
  prompt_tokens: count,
  completion_tokens: maybe(count),
  prompt_tokens_details: maybe(z.object({ cached_tokens: maybe(count) })),
});
export type Usage = z.infer<typeof usageSchema>;

/** Of `/server_info`, which holds every setting of the server, keys included: only this is read. */
export const serverInfoSchema = z.object({
  vllm_config: z.object({
    kv_transfer_config: maybe(
      z.object({
        kv_connector: maybe(z.string()),
        /** A `MultiConnector` names its parts here. */
        kv_connector_extra_config: maybe(
          z.object({ connectors: maybe(z.array(z.object({ kv_connector: maybe(z.string()) }))) }),
        ),
      }),
    ),
  }),
});

export const tokenizeSchema = z.object({ tokens: ids });

const metricsSchema = z.object({ time_to_first_token_ms: maybe(z.number()) });

/** In completions the ids are inside the choice. */
export const completionSchema = z.object({
  model: maybe(z.string()),
  choices: z
    .array(
      z.object({
        text: z.string(),
        finish_reason: maybe(z.string()),
        token_ids: maybe(ids),
        prompt_token_ids: maybe(ids),
        logprobs: maybe(
          z.object({
            tokens: maybe(z.array(z.string())),
            /** A value of null is NaN. */
            top_logprobs: maybe(z.array(z.nullable(z.record(z.string(), z.nullable(z.number()))))),
          }),
        ),
      }),
    )
    .check(z.minLength(1)),
  usage: maybe(usageSchema),
  /** Only with `--enable-per-request-metrics`. */
  metrics: maybe(metricsSchema),
});
export type Completion = z.infer<typeof completionSchema>;

/** In a chat stream the prompt's ids are at the top of the first chunk, the answer's in each delta, the usage in the last chunk. */
export const chatChunkSchema = z.object({
  prompt_token_ids: maybe(ids),
  choices: z.array(
    z.object({
      delta: maybe(z.object({ content: maybe(z.string()) })),
      finish_reason: maybe(z.string()),
      token_ids: maybe(ids),
    }),
  ),
  usage: maybe(usageSchema),
  metrics: maybe(metricsSchema),
});
export type ChatChunk = z.infer<typeof chatChunkSchema>;

/** vLLM reports a failure after the stream has begun as one more event. */
export const streamErrorSchema = z.object({
  error: z.object({ message: z.string(), code: maybe(z.union([z.number(), z.string()])) }),
});
