import * as z from 'zod/mini';
import { growing } from './growing.ts';

/** What decides how far a server's KV can be stored, proven and separated; in the order in which clients show it. Only vLLM can have the last. */
export const capabilityNames = [
  'ready',
  'reuse',
  'reuse-told',
  'isolation',
  'block-size',
  'token-ids',
  'canary',
  'tokenizer',
  'insight',
  'persistence',
  'block-files',
  'block-events',
] as const;
export type CapabilityName = (typeof capabilityNames)[number];

const capabilitySchema = z.object({
  name: growing(capabilityNames),
  /** `unknown` is "the server did not show it", never "no". */
  state: growing(['yes', 'no', 'unknown']),
  /** What was found, in plain words. */
  found: z.string(),
  /** What the user can change; empty when there is nothing to do. */
  remedy: z.string(),
});
export type Capability = z.infer<typeof capabilitySchema>;

/** What a model server can do, found by trying it (`docs/kv-evidence.md`, "What is probed"). */
export const capabilitiesSchema = z.object({
  items: z.array(capabilitySchema),
  /** Tokens in one KV block: as seen in how much was reused, else as the server tells; null when neither shows it. */
  blockTokens: z.nullable(z.number()),
  /** What the probe asked of the model. */
  cost: z.object({ requests: z.number(), promptTokens: z.number(), ms: z.number() }),
});
export type Capabilities = z.infer<typeof capabilitiesSchema>;
