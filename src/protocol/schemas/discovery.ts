import * as z from 'zod/mini';
import { servedModelSchema } from './health.ts';

const text = z.string();

/** A model server that answered on this machine. */
const foundServerSchema = z.object({
  /** As `--engine` and the setting `cwm.engine` take it. */
  spec: text,
  /** What it is, as far as it says; else the product that usually has this port. */
  product: text,
  /** Null: it was not recognised, because it wants an API key or did not answer in time. */
  kind: z.nullable(z.enum(['vllm', 'embedded', 'llama-server', 'openai'])),
  version: z.nullable(text),
  models: z.array(servedModelSchema),
  wantsKey: z.boolean(),
});
export type FoundServer = z.infer<typeof foundServerSchema>;

/** A model file that another program brought to this machine. */
const foundFileSchema = z.object({
  /** As `--engine` and the setting `cwm.engine` take it: `embedded:FILE`. */
  spec: text,
  /** The program whose folder it is in. */
  source: text,
  name: text,
  /** Of all parts of a split file. */
  sizeBytes: z.number(),
  /** Like `Q4_K_M`; null where neither the name nor the program says it. */
  quantisation: z.nullable(text),
  /** Whether weights, KV cache and the rest of the machine are likely to fit into the memory of this machine. */
  fits: z.boolean(),
});
export type FoundFile = z.infer<typeof foundFileSchema>;

export const discoverySchema = z.object({
  servers: z.array(foundServerSchema),
  files: z.array(foundFileSchema),
  /** The model server of sessions that name none. */
  defaultEngine: text,
});
export type Discovery = z.infer<typeof discoverySchema>;
