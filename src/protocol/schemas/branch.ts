import * as z from 'zod/mini';
import { messageIdSchema } from './ids.ts';

/** A branch as lists show it. */
export const branchSummarySchema = z.object({
  name: z.string(),
  active: z.boolean(),
  head: z.nullable(messageIdSchema),
  /** Number of its messages. */
  length: z.number(),
  parentMessageId: z.nullable(messageIdSchema),
  /** Length of the context that the model server saw last of it; null: it had none yet. */
  tokens: z.nullable(z.number()),
  /** How many tokens at its beginning it has in common with the sibling that shares most. */
  sharedTokens: z.number(),
  /** The same in whole KV blocks; null where the model server does not tell the size of a block. */
  sharedBlocks: z.nullable(z.number()),
  /** The sibling that shares most; null: none shares anything. */
  sharedWith: z.nullable(z.string()),
  /** Id of a system prompt of its own. */
  systemPrompt: z.nullable(z.string()),
});
export type BranchSummary = z.infer<typeof branchSummarySchema>;

const sideSchema = z.object({
  name: z.string(),
  length: z.number(),
  /** Its own messages, oldest first. */
  messages: z.array(messageIdSchema),
});

export const branchComparisonSchema = z.object({
  /** The last message that both have; null: none. */
  lastShared: z.nullable(messageIdSchema),
  sharedMessages: z.number(),
  /** Tokens at the beginning that the model server saw of both. */
  sharedTokens: z.number(),
  sharedBlocks: z.nullable(z.number()),
  one: sideSchema,
  other: sideSchema,
});
export type BranchComparison = z.infer<typeof branchComparisonSchema>;
