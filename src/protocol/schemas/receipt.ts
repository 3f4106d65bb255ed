import * as z from 'zod/mini';
import { growing } from './growing.ts';
import { sessionIdSchema, windowNameSchema } from './ids.ts';

/** The only words for a result (`docs/architecture.md`, "Verdicts"). */
export const verdicts = [
  'proven',
  'reused',
  'partial',
  'rebuilt',
  'unobserved',
  'damaged',
  'mismatch',
  'text-only',
] as const;
export type Verdict = (typeof verdicts)[number];

/** Where reused tokens came from, by the engine's own account: vLLM's `source` label of `prompt_tokens_cached_by_source_total`. */
const kvTiers = ['device', 'host', 'disk', 'p2p', 'external', 'mixed', 'unknown'] as const;
export type KvTier = (typeof kvTiers)[number];

const count = z.nullable(z.number());

/** One greedy token with its most likely alternatives, as the engine gave it: the canary (`docs/architecture.md`, "Content"). */
export const canarySchema = z.object({
  tokenId: z.number(),
  /** Most likely first; at most five. `token` is as the engine names it, since engines differ. */
  topLogprobs: z.array(z.object({ token: z.string(), logprob: z.number() })),
});
export type Canary = z.infer<typeof canarySchema>;

const checkResults = ['agreed', 'disagreed', 'not-run'] as const;
export type CheckResult = (typeof checkResults)[number];

const contentChecksSchema = z.object({
  /** Block files against their recorded checksums. */
  checksums: growing(checkResults),
  /** The frozen canary against the one measured now. */
  canary: growing(checkResults),
  blocksChecked: z.number(),
  blocksHashed: z.number(),
  blocksDamaged: z.number(),
  blocksMissing: z.number(),
  /** Largest difference of a logprob between the frozen canary and the measured one, in nats. */
  canaryDifference: count,
  /** The engine's own noise: the difference between the two canaries of the freeze, in nats. */
  canaryNoise: count,
  /** Why a check did not run, in plain words. */
  why: z.nullable(z.string()),
  /** KV under it came with a file: the checks say only that it is what came. Default: all of it was computed here. */
  isImported: z.optional(z.boolean()),
});
export type ContentChecks = z.infer<typeof contentChecksSchema>;

const repairs = ['none', 'blocks-deleted', 'salt-advanced'] as const;
export type Repair = (typeof repairs)[number];

/** What the message after a thaw will cost, found by rendering one. */
const nextMessageSchema = z.object({
  /** Length of its prompt, with a short message. */
  promptTokens: z.number(),
  /** How many of these the model server has KV for. */
  reusedTokens: z.number(),
  /** Tokens that would be computed again if the chat template rendered the conversation; null where the template agrees, or is used. */
  rerenderTokens: count,
  /** Where the prompt leaves the frozen tokens; null where it begins with all of them. */
  leavesAtToken: count,
});
export type NextMessage = z.infer<typeof nextMessageSchema>;

/** What one freeze, checkpoint, thaw or clone did, and everything its verdict rests on. `null` means "does not apply" or "not observed", never 0. */
export const receiptSchema = z.object({
  operation: growing(['freeze', 'checkpoint', 'thaw', 'clone']),
  session: sessionIdSchema,
  window: windowNameSchema,
  /** True: `window` is what the session's rolling checkpoint is called, which no list of windows has. */
  ofCheckpoint: z.optional(z.boolean()),
  verdict: z.nullable(growing(verdicts)),
  tier: z.nullable(growing(kvTiers)),
  /** Length of the context, in tokens. */
  tokens: z.number(),
  promptTokens: count,
  cachedTokens: count,
  /** Most tokens this engine could have reused: `floor((promptTokens - 1) / blockTokens) * blockTokens`, or `cachedTokens` where it is more. */
  floorTokens: count,
  blockTokens: count,
  /** Where `cachedTokens` was read: the response, the response and the engine's events about its blocks, clean counters, llama-server's timings, or nowhere. */
  cachedTokensFrom: growing(['usage', 'events', 'metrics', 'timings', 'none']),
  content: contentChecksSchema,
  repair: growing(repairs),
  /** Of a thaw that reused what was frozen. Left out where it cannot be told. */
  nextMessage: z.optional(nextMessageSchema),
  /** KV bytes of this window on disk where they can be seen. */
  kvBytes: count,
  /** KV bytes that appeared on disk during this operation; blocks that were there before are shared, not written. */
  kvBytesWritten: count,
  /** From request to first token of the measured request, in milliseconds. */
  timeToFirstTokenMs: count,
  /** The whole operation, in milliseconds. */
  ms: z.number(),
  /** What a thaw without KV would cost, in milliseconds, from the prefill that this engine was last seen to do. */
  expectedPrefillMs: count,
  engine: z.nullable(z.object({ kind: z.string(), version: z.string(), model: z.string() })),
  /** True when the server answered no other request at the same time, so that its counters are evidence. */
  serverIdle: z.nullable(z.boolean()),
  /** Counter differences the verdict used, by name. */
  counters: z.record(z.string(), z.number()),
  /** The result in one or two plain sentences. */
  summary: z.string(),
  /** Anything the user may want to change, in plain words. */
  notes: z.array(z.string()),
  at: z.string(),
});
export type Receipt = z.infer<typeof receiptSchema>;
