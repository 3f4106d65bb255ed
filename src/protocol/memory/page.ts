import * as z from 'zod/mini';
import { messageIdSchema } from '../schemas/ids.ts';

/**
 * A page's content, by what it is for (S1-21). `transcript`: what somebody said; `artifact`: a tool's result or files; `procedure`: how a tool was
 * called, what failed and what worked. The others are parts of a segment.
 */
const pageKinds = ['transcript', 'summary', 'artifact', 'claim', 'procedure', 'index'] as const;
export type PageKind = (typeof pageKinds)[number];

export const modalities = ['text', 'image', 'audio', 'video', 'structured'] as const;
export type Modality = (typeof modalities)[number];

/**
 * Where a page is. `L0`: in the model's prompt. `L1`: in memory, for the next prompts. `L2`: in the store. `L3`: in a window of the session alone,
 * because no branch has it any more. `L4`: in an exported archive; what comes back from one is stored, so that no page is there.
 */
const storageTiers = ['L0', 'L1', 'L2', 'L3', 'L4'] as const;
export type StorageTier = (typeof storageTiers)[number];

/** How much of a page a text has: 0 all of it, 1 reduced, 2 an abstract, 3 a reference. */
export const compressionLevels = [0, 1, 2, 3] as const;
export type CompressionLevel = (typeof compressionLevels)[number];

/**
 * Why a page does not leave (S1-42). `user`: somebody pinned it. `plan`: it is the last plan.
 * `recent`: of the last turns. `summary`, `claim`, `index`: it stands for pages that left. The system prompt and the list of tools are no pages:
 * every request begins with them.
 */
const pinReasons = ['user', 'plan', 'recent', 'summary', 'claim', 'index'] as const;
export type PinReason = (typeof pinReasons)[number];

/** What a page is worth to later prompts, 0 to 1. */
export const importanceSchema = z.number().check(z.minimum(0), z.maximum(1));

/** A page of a conversation, without its content (S1-30). */
export const memoryPageSchema = z.object({
  id: z.string(),
  kind: z.enum(pageKinds),
  modality: z.enum(modalities),
  /** The messages whose text it is, oldest first; of a summary, the first and the last one. */
  messageIds: z.array(messageIdSchema),
  /** Place of its last message in the conversation, 1-based. */
  sequence: z.number(),
  /** Pages of which it has the text, and how much; none: it is an original. */
  represents: z.array(z.object({ page: z.string(), level: z.literal(compressionLevels) })),
  /** Of the whole text, in UTF-8. */
  sizeBytes: z.number(),
  /** Of the whole text, as the engine counts them; null: nobody has counted yet. */
  tokens: z.nullable(z.number()),
  /** 0 to 1. */
  importance: importanceSchema,
  /** Somebody pinned it: it leaves the prompt for nothing. */
  pinned: z.boolean(),
  /** Null: it may leave. */
  pinnedBy: z.nullable(z.enum(pinReasons)),
  tier: z.enum(storageTiers),
  /** How often it came back or was found, and the conversation's last place at the last time; at first its own place. */
  accesses: z.number(),
  accessedAt: z.number(),
  /** Of what the prompt has of it. */
  level: z.literal(compressionLevels),
});
export type MemoryPage = z.infer<typeof memoryPageSchema>;
