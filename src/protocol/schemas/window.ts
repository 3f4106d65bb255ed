import * as z from 'zod/mini';
import { lineageIdSchema, messageIdSchema, projectUriSchema, sessionIdSchema, windowNameSchema } from './ids.ts';
import { canarySchema, receiptSchema } from './receipt.ts';
import { contextTokensSchema, modelIdentitySchema } from './session.ts';
import { sessionSettingsSchema } from './sessionSettings.ts';

/** How block hashes are made, so that a window's block files can be named without asking the engine (`docs/kv-evidence.md`). */
export const hashProfileSchema = z.object({
  algorithm: z.enum(['sha256_cbor', 'sha256']),
  /** `vllm-none-hash`, or the server's PYTHONHASHSEED. */
  seed: z.string(),
  /** vLLM ≤ 0.30 hashes the bare salt, ≥ 0.31 the pair `("cache_salt", salt)`. */
  saltEncoding: z.enum(['bare', 'tagged']),
});
export type HashProfile = z.infer<typeof hashProfileSchema>;

/** One KV block file as it was at freeze. Like git's index: equal stat fields ⇒ the checksum still holds. */
export const blockRecordSchema = z.object({
  /** The block's name: its hash in the chain, in hex. */
  hash: z.string(),
  sizeBytes: z.number(),
  /** Of files that are worth nothing without the block: the embedded engine's states. Default: there are none. */
  besideBytes: z.optional(z.number()),
  /** SHA-256 over the name and the bytes. */
  checksum: z.string(),
  /** Nanoseconds, as decimal strings: they do not fit a double. */
  mtimeNs: z.string(),
  ctimeNs: z.string(),
  inode: z.string(),
});
export type BlockRecord = z.infer<typeof blockRecordSchema>;

/** The immutable part of a window: its messages, their exact tokens, and the model. */
export const windowManifestSchema = z.object({
  formatVersion: z.literal(1),
  name: windowNameSchema,
  description: z.string(),
  tags: z.array(z.string()),
  session: sessionIdSchema,
  /** `freeze` ended the session's turn-taking, `checkpoint` left it running, `clone` came from another window. */
  mode: z.enum(['freeze', 'checkpoint', 'clone']),
  branch: z.string(),
  /** Messages of the window, oldest first; they live in the session's pool. */
  messageIds: z.array(messageIdSchema),
  parentWindow: z.nullable(windowNameSchema),
  project: z.nullable(projectUriSchema),
  lineage: lineageIdSchema,
  tokens: contextTokensSchema,
  model: modelIdentitySchema,
  /** Of the session then. */
  settings: z.optional(sessionSettingsSchema),
  /** As given to `--engine`. */
  engine: z.string(),
  createdAt: z.string(),
});
export type WindowManifest = z.infer<typeof windowManifestSchema>;

/** The canary over the beginning of a context, when all its KV was served from cache. */
const prefixCanarySchema = z.object({
  tokens: z.number(),
  canary: canarySchema,
  /** How far answers were apart then, in nats. */
  noise: z.number(),
});
export type PrefixCanary = z.infer<typeof prefixCanarySchema>;

/**
 * The perishable part of a window: the record of its KV from the last time that it was known to be good. Replaced as a whole when
 * a thaw had to recompute some of it, because recomputed KV differs from the frozen one in its last bits.
 */
export const kvRecordSchema = z.object({
  /** Generation of the lineage's salt that the KV was made under. */
  saltGeneration: z.number(),
  /** The generation to which an unfinished repair moved the salt: KV under it is unverified. Default: none. */
  unfinishedRepair: z.optional(z.number()),
  engineKind: z.string(),
  engineVersion: z.string(),
  blockTokens: z.nullable(z.number()),
  hashProfile: z.nullable(hashProfileSchema),
  /** Two answers to the same request, the furthest apart of all; null when the engine gives no logprobs. */
  canary: z.nullable(z.tuple([canarySchema, canarySchema])),
  /** How many of the first tokens the canary was asked over. Default: all. */
  canaryTokens: z.optional(z.number()),
  /**
   * False while blocks of different computations may lie side by side, or where others used the server when it was taken and the files
   * can speak instead: then only a gross difference of the canary counts. The first stores did not say.
   */
  canaryIsExact: z.prefault(z.boolean(), false),
  /** Answers over so many of the first tokens, shortest first, where the block files are out of reach. The first stores have none. */
  prefixCanaries: z.prefault(z.array(prefixCanarySchema), []),
  /** The most tokens that the engine can reuse of this context, where that is less than its blocks allow. Default: what they allow. */
  mostReusable: z.optional(z.number()),
  /** What the engine needs to restore it, opaque to everybody else (llama-server: the slot file's name). */
  handle: z.nullable(z.string()),
  /** Sum over the block files; null when they are out of reach. */
  kvBytes: z.nullable(z.number()),
  /** In order; empty when the block files are out of reach. */
  blocks: z.array(blockRecordSchema),
});
export type KvRecord = z.infer<typeof kvRecordSchema>;

/** What the engines reused in thaws, together. Only thaws that were observed count (S0-52). */
export const reuseTotalsSchema = z.object({
  thaws: z.number(),
  promptTokens: z.number(),
  /** Of `promptTokens`. */
  cachedTokens: z.number(),
});
export type ReuseTotals = z.infer<typeof reuseTotalsSchema>;

/** A window as lists and trees show it. */
export const windowSummarySchema = z.object({
  name: windowNameSchema,
  description: z.string(),
  tags: z.array(z.string()),
  session: sessionIdSchema,
  /** Its last message; null: it has none. An older backend leaves it out. */
  lastMessage: z.optional(z.nullable(messageIdSchema)),
  mode: z.enum(['freeze', 'checkpoint', 'clone']),
  model: z.string(),
  engine: z.string(),
  project: z.nullable(projectUriSchema),
  parentWindow: z.nullable(windowNameSchema),
  tokens: z.number(),
  kvBytes: z.nullable(z.number()),
  /** No budget takes the KV of a pinned window. */
  pinned: z.boolean(),
  createdAt: z.string(),
  /** The last thaw of this window, if there was one. */
  lastThaw: z.nullable(z.object({ verdict: z.string(), at: z.string() })),
  reuse: reuseTotalsSchema,
});
export type WindowSummary = z.infer<typeof windowSummarySchema>;

export const windowDetailsSchema = z.object({
  manifest: windowManifestSchema,
  kv: z.omit(kvRecordSchema, { blocks: true }),
  /** The beginning of the SHA-256 of its cache salt: the same where windows share KV. Null where it cannot be read; an older backend leaves it out. */
  saltHash: z.optional(z.nullable(z.string())),
  summary: windowSummarySchema,
  /** Root first, this window last. */
  lineageWindows: z.array(windowNameSchema),
  receipts: z.array(receiptSchema),
  /** In order, where they were asked for; empty when the block files are out of reach. An older backend leaves them out. */
  blocks: z.optional(z.array(z.pick(blockRecordSchema, { hash: true, sizeBytes: true, checksum: true }))),
});
export type WindowDetails = z.infer<typeof windowDetailsSchema>;
