import * as z from 'zod/mini';
import { count, maybe, tokenIds as ids } from '../http/lenient.ts';

/** The fields that are read of llama-server's answers (llama.cpp `tools/server/README.md`). Everything optional is missing in some version. */

export const modelsSchema = z.object({
  data: z
    .array(
      z.object({
        id: z.string(),
        owned_by: maybe(z.string()),
        meta: maybe(
          z.object({
            n_vocab: maybe(count),
            n_embd: maybe(count),
            n_params: maybe(count),
            size: maybe(count),
            ftype: maybe(z.string()),
          }),
        ),
      }),
    )
    .check(z.minLength(1)),
});
export type ModelEntry = z.infer<typeof modelsSchema>['data'][number];

export const propsSchema = z.object({
  total_slots: z.int().check(z.positive()),
  /** `n_ctx` is that of one slot. */
  default_generation_settings: z.object({ n_ctx: maybe(count) }),
  model_path: maybe(z.string()),
  build_info: maybe(z.string()),
  /** Missing in builds before pictures. */
  modalities: maybe(z.object({ vision: maybe(z.boolean()) })),
  /** Missing in builds before 2026. */
  chat_template_caps: maybe(z.object({ supports_tools: maybe(z.boolean()) })),
});
export type Props = z.infer<typeof propsSchema>;

/** Adapters that the server was started with. A scale of 0 leaves the weights as they are. */
export const adaptersSchema = z.array(z.object({ id: z.int(), path: maybe(z.string()), scale: z.number() }));

export const slotsSchema = z.array(
  z.object({
    id: count,
    is_processing: z.boolean(),
    /** Of the last request that worked in it: missing, or -1, before the first one. */
    id_task: maybe(z.int()),
    /** In the slot at this moment. */
    n_prompt_tokens: maybe(count),
  }),
);

/** An answer that only confirms success. */
export const anythingSchema = z.unknown();

export const savedSchema = z.object({ n_saved: count, n_written: count });
export const restoredSchema = z.object({ n_restored: count, n_read: maybe(count) });

export const templateSchema = z.object({ prompt: z.string() });
export const detokenizeSchema = z.object({ content: z.string() });
export const tokenizeSchema = z.object({ tokens: ids });

/** `cache_n` tokens of the prompt were reused, `prompt_n` were computed. */
const timings = z.object({ cache_n: maybe(count), prompt_n: maybe(count), prompt_ms: maybe(z.number()) });
export type Timings = z.infer<typeof timings>;

export const completionSchema = z.object({
  /** The slot that worked. For an id beyond the last slot, this is another one than the requested one. */
  id_slot: maybe(z.int()),
  timings: maybe(timings),
  /** Only if asked for. */
  tokens: maybe(ids),
  completion_probabilities: maybe(
    z.array(
      z.object({
        id: count,
        /** A value of null is NaN. */
        top_logprobs: maybe(z.array(z.object({ id: count, logprob: z.nullable(z.number()) }))),
      }),
    ),
  ),
});
export type Completion = z.infer<typeof completionSchema>;

/** The last one has `stop` and everything that is known only at the end. There is no `[DONE]` after it. */
export const chunkSchema = z.object({
  content: z.string(),
  stop: z.boolean(),
  tokens: maybe(ids),
  id_slot: maybe(z.int()),
  tokens_predicted: maybe(count),
  stop_type: maybe(z.string()),
  timings: maybe(timings),
});
export type Chunk = z.infer<typeof chunkSchema>;
