import * as z from 'zod/mini';
import { growing } from './growing.ts';
import { messageSchema } from './session.ts';

/** What a chunk of an answer is a part of. `tool`: a call of a tool, its name and then its arguments. */
export const answerParts = ['reasoning', 'text', 'tool'] as const;
export type AnswerPart = (typeof answerParts)[number];

const answerChunkSchema = z.object({
  /** 1-based, without gaps within one answer. */
  sequence: z.number(),
  part: growing(answerParts),
  text: z.string(),
});

/** Chunks of an answer, for a client that pulls them (S4-21). */
export const answerChunksSchema = z.object({
  /** Those after the one that the client has; none once the answer is stored. */
  items: z.array(answerChunkSchema),
  /** Sequence of the last chunk so far; 0 where nothing came yet. */
  last: z.number(),
  /** Whether there are more than these now. */
  hasMore: z.boolean(),
  /** The whole answer, once it is stored. */
  message: z.nullable(messageSchema),
});
