import * as z from 'zod/mini';
import { messageIdSchema, sessionIdSchema } from './ids.ts';
import { memoryReportSchema } from '../memory/report.ts';
import { receiptSchema } from './receipt.ts';
import { pendingToolsSchema } from './toolCall.ts';
import { costSchema, prefixBreakSchema, tokensTakenSchema } from './session.ts';

const text = z.string();

export const sendResultSchema = z.object({
  session: sessionIdSchema,
  /** Version of the session's record before the turn, and of the one that has both messages. An older backend leaves them out. */
  fromVersion: z.optional(z.number()),
  version: z.optional(z.number()),
  text,
  messageId: messageIdSchema,
  /** The user's message that was answered. An older backend leaves it out. */
  userMessageId: z.optional(messageIdSchema),
  promptTokens: z.number(),
  /** Token ids of the answer, as the engine gave them. */
  outputIds: z.array(z.number()),
  cachedTokens: z.nullable(z.number()),
  finishReason: text,
  timeToFirstTokenMs: z.nullable(z.number()),
  ms: z.number(),
  /** What the request took that the answer ended, and what that cost. Each round of tool calls before has its own, in its message. */
  taken: z.optional(tokensTakenSchema),
  cost: z.optional(z.nullable(costSchema)),
  prefixBreak: z.nullable(prefixBreakSchema),
  /** The prompt continued from the stored token ids: tokens that would be computed again if the chat template rendered the conversation. */
  rerenderTokens: z.optional(z.number()),
  /** Tool calls that wait for the user's decision: the turn goes on with it. Left out: there are none. */
  pendingTools: z.optional(pendingToolsSchema),
  /** Of a session with virtual memory. */
  memory: z.optional(memoryReportSchema),
  /** What the user should know, like that the model's context is nearly full. */
  notes: z.array(text),
});
export type SendResult = z.infer<typeof sendResultSchema>;

export const primeResultSchema = z.object({
  session: sessionIdSchema,
  files: z.array(z.object({ path: text, bytes: z.number() })),
  /** Files that were left out, and why. */
  skipped: z.array(z.object({ path: text, why: text })),
  promptTokens: z.number(),
  cachedTokens: z.nullable(z.number()),
  timeToFirstTokenMs: z.nullable(z.number()),
  ms: z.number(),
  /** What the user should know, like that the tokens of the files were estimated. */
  notes: z.array(text),
});
export type PrimeResult = z.infer<typeof primeResultSchema>;

/** A thaw's receipt. `answer`: that to the prompt which the opened session sent; left out where there was none, or it failed. */
export const thawResultSchema = z.extend(receiptSchema, { answer: z.optional(sendResultSchema) });
export type ThawResult = z.infer<typeof thawResultSchema>;
