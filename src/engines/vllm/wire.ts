import * as z from 'zod/mini';
import { count, maybe, tokenIds } from '../http/lenient.ts';
import { hashProfileSchema } from '../../protocol/schemas/window.ts';

/**
 * The parts of vLLM's answers that this client reads. Every field inside `maybe` is missing or odd in some version, or on some server that
 * speaks the same dialect, and only serves evidence.
 */

export const versionSchema = z.object({ version: z.string() });

/** Parts of a block that the embedded engine stores: its rows, the model's whole state at its end, or both. */
export const embeddedKinds = ['rows', 'rows and states', 'states'] as const;

/** The embedded engine's additions to its model's entry. */
const embeddedInfoSchema = z.object({
  fingerprint: maybe(z.string()),
  /** Absolute path of the folder with the block files. */
  blockDir: maybe(z.string()),
  blockFiles: maybe(z.enum(embeddedKinds)),
  blockTokens: maybe(count),
  blockSizeBytes: maybe(count),
  hashProfile: maybe(hashProfileSchema),
  notice: maybe(z.string()),
  /** Texts that end a chat's answer, besides the model's own end tokens. */
  stopStrings: maybe(z.array(z.string())),
  /** Whether the chat template lists tools. */
  takesTools: maybe(z.boolean()),
});

/** Some servers write numbers as text. */
const length = z.pipe(z.pipe(z.union([z.number(), z.string()]), z.transform(Number)), z.int().check(z.positive()));

const namedEntrySchema = z.object({
  id: z.string(),
  owned_by: maybe(z.string()),
  root: maybe(z.string()),
  /** A LoRA adapter names its base model here. */
  parent: maybe(z.string()),
  max_model_len: maybe(length),
  cwm: maybe(embeddedInfoSchema),
  /** Its purpose, on some servers. */
  type: maybe(z.string()),
  task: maybe(z.string()),
  capabilities: maybe(z.object({ completion_chat: maybe(z.boolean()) })),
});
export type ModelEntry = z.infer<typeof namedEntrySchema>;

/** What is listed under `models` may call its id `name` or `model`. */
const namesOfId = z.union([z.object({ name: z.string() }), z.object({ model: z.string() })]);

function entryOf(value: unknown): ModelEntry | null {
  const entry = namedEntrySchema.safeParse(value);
  return entry.success ? entry.data : null;
}

function namedOtherwise(value: unknown): ModelEntry | null {
  const other = namesOfId.safeParse(value);
  if (!other.success) return entryOf(value);
  return entryOf({ id: 'name' in other.data ? other.data.name : other.data.model, ...(value as object) });
}

/** The entries that name a model. Entries that do not are left out, but a list of nothing else is no list of models. */
const entriesBy = (read: (value: unknown) => ModelEntry | null) =>
  z.pipe(
    z
      .array(z.unknown())
      .check(z.refine((values) => values.length === 0 || values.some((value) => read(value) !== null))),
    z.transform((values) => values.map(read).filter((entry) => entry !== null)),
  );
const modelEntriesSchema = entriesBy(entryOf);

/** A list under `data` or `models`, or bare. Null, or no list, is an empty list. */
export const modelsSchema = z.union([
  z.pipe(
    modelEntriesSchema,
    z.transform((data) => ({ data })),
  ),
  z.pipe(
    z.object({ data: z.optional(z.nullable(modelEntriesSchema)), object: z.literal('list') }),
    z.transform(({ data }) => ({ data: data ?? [] })),
  ),
  z.object({ data: modelEntriesSchema }),
  z.pipe(
    z.object({ models: entriesBy(namedOtherwise) }),
    z.transform(({ models }) => ({ data: models })),
  ),
]);

/** `cached_tokens`: null or absent is "not observed", never 0 (vLLM without `--enable-prompt-tokens-details`). */
const usageSchema = z.object({
  prompt_tokens: maybe(count),
  completion_tokens: maybe(count),
  prompt_tokens_details: maybe(z.object({ cached_tokens: maybe(count) })),
});
export type TokenUsage = z.infer<typeof usageSchema>;

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

export const detokenizeSchema = z.object({ prompt: z.string() });

export const tokenizeSchema = z.object({ tokens: tokenIds });

const metricsSchema = z.object({ time_to_first_token_ms: maybe(z.number()) });

/** In completions the ids are inside the choice. */
export const completionSchema = z.object({
  model: maybe(z.string()),
  choices: z
    .array(
      z.object({
        text: maybe(z.string()),
        finish_reason: maybe(z.string()),
        token_ids: maybe(tokenIds),
        prompt_token_ids: maybe(tokenIds),
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

/** KV in a file: the embedded engine alone has it. */
export const packedKvSchema = z.object({ tokens: z.number(), bytes: z.number() });
export const takenKvSchema = z.object({ tokens: z.number(), bytes: z.number(), notes: z.array(z.string()) });

/** The text of an answer, in a piece of a stream or whole. It has several forms: `contentText` reads them. */
const pieceSchema = z.object({
  content: z.optional(z.unknown()),
  /** Three names for the model's reasoning. */
  reasoning_content: z.optional(z.unknown()),
  reasoning: z.optional(z.unknown()),
  thinking: z.optional(z.unknown()),
  refusal: z.optional(z.unknown()),
  tool_calls: z.optional(z.unknown()),
});

/** In a chat stream the prompt's ids are at the top of the first chunk, the answer's in each delta, the usage in the last chunk. */
export const chatChunkSchema = z.object({
  prompt_token_ids: maybe(tokenIds),
  choices: z.optional(
    z.nullable(
      z.array(
        z.object({
          index: maybe(z.number()),
          delta: maybe(pieceSchema),
          /** Of an answer in one piece. */
          message: maybe(pieceSchema),
          text: maybe(z.string()),
          finish_reason: maybe(z.string()),
          token_ids: maybe(tokenIds),
          prompt_token_ids: maybe(tokenIds),
        }),
      ),
    ),
  ),
  usage: maybe(usageSchema),
  metrics: maybe(metricsSchema),
});
export type ChatChunk = z.infer<typeof chatChunkSchema>;
