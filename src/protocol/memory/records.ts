import * as z from 'zod/mini';
import { compressionLevels, importanceSchema } from './page.ts';
import { messageIdSchema } from '../schemas/ids.ts';

/** Who summarised: the engine, as asked; or nobody, so that sentences of the messages stand there. */
const summarySources = ['engine', 'extract'] as const;
export type SummarySource = (typeof summarySources)[number];

/**
 * What stands in the prompt in place of a run of messages. It never changes; the messages stay in the pool. A later segment that covers
 * several takes their place.
 */
export const segmentSchema = z.object({
  type: z.literal('segment'),
  /** `s` and a number, unique in the session. */
  id: z.string(),
  /** The first and the last message that it stands for, and their places in the conversation. */
  from: messageIdSchema,
  to: messageIdSchema,
  firstSequence: z.number(),
  lastSequence: z.number(),
  summary: z.string(),
  summaryBy: z.enum(summarySources),
  /** As the prompt has it: the summary and the index of its pages, between marks. */
  text: z.string(),
  /** Of `text`, as the engine counts them; null: it could not. */
  tokens: z.nullable(z.number()),
  /** Of the messages that it stands for. */
  replacedTokens: z.number(),
  /** Segments that it covers; left out: messages only. */
  covers: z.optional(z.array(z.string())),
  /** Sentences of pages that stand in it as they were said. */
  claims: z.optional(z.array(z.object({ page: z.string(), text: z.string() }))),
  /** Why it was made: the policy, and the tokens that it decided on. Left out: it covers others, or nobody recorded it. */
  decided: z.optional(
    z.object({
      policy: z.string(),
      /** Of the request's messages. */
      used: z.number(),
      evictAt: z.number(),
      target: z.number(),
      room: z.number(),
    }),
  ),
  /** How much it has of each page that it names; a page that is not here has left altogether. Left out: nobody recorded it. */
  pages: z.optional(z.array(z.object({ page: z.string(), level: z.literal(compressionLevels) }))),
  at: z.string(),
});
export type Segment = z.infer<typeof segmentSchema>;

/** Tokens of one answer of a session with memory. */
const turnSchema = z.object({
  type: z.literal('turn'),
  /** Place of the answer in its conversation. */
  sequence: z.number(),
  answer: messageIdSchema,
  /** The segments that its prompt began with. */
  segments: z.array(z.string()),
  sent: z.number(),
  /** Null: the server did not say. */
  reused: z.nullable(z.number()),
  /** Computed again only because memory changed the prompt. */
  recomputed: z.number(),
  /** Where memory changed the prompt: how many tokens stand in front of that. Left out: it changed nothing, or nobody knows. */
  changedAt: z.optional(z.number()),
  at: z.string(),
});
export type MemoryTurn = z.infer<typeof turnSchema>;

/**
 * Why a page came back. `user_requested_recall`: the user wanted it; `resolve_reference`: the model asked for its id, or searched. By themselves
 * come `tool_prereq`, what is known of a tool whose call failed, and `speculative`, a page that a question most likely needs.
 */
const faultReasons = ['user_requested_recall', 'resolve_reference', 'tool_prereq', 'speculative'] as const;
export type FaultReason = (typeof faultReasons)[number];

/** Something that happened to a page, besides that it left with a segment: who did it, and why. */
export const mutationSchema = z.object({
  type: z.literal('mutation'),
  what: z.enum(['fault_in', 'pin', 'unpin', 'update']),
  page: z.string(),
  actor: z.enum(['user', 'model', 'tool', 'system']),
  /** Of a fault; left out: the user wanted it. */
  reason: z.optional(z.enum(faultReasons)),
  /** Of an update: what the page is worth from now on, 0 to 1; null: what pages of its role are. */
  importance: z.optional(z.nullable(importanceSchema)),
  /** Of the text that came back. */
  level: z.optional(z.literal(compressionLevels)),
  tokens: z.optional(z.number()),
  /** Place of the conversation's last message then. */
  sequence: z.number(),
  at: z.string(),
});
export type Mutation = z.infer<typeof mutationSchema>;

/** A search of the model, and the pages that it got. */
export const searchSchema = z.object({
  type: z.literal('search'),
  query: z.string(),
  /** Best first. */
  pages: z.array(z.string()),
  reason: z.enum(faultReasons),
  /** Of all texts together. */
  tokens: z.number(),
  /** Place of the conversation's last message then. */
  sequence: z.number(),
  at: z.string(),
});
export type MemorySearch = z.infer<typeof searchSchema>;

/** One version of a small text that somebody wants remembered. The last one counts. */
export const noteSchema = z.object({
  type: z.literal('note'),
  /** The first letter of its scope, and a number that is unique there. */
  id: z.string(),
  /** 1-based. */
  version: z.number(),
  /** Null: it was forgotten. */
  text: z.nullable(z.string()),
  /** The tool that it is about; left out: it is about none. */
  tool: z.optional(z.string()),
  at: z.string(),
});
export type Note = z.infer<typeof noteSchema>;

/** A line of what a session's memory recorded, in order. */
export const memoryRecordSchema = z.discriminatedUnion('type', [
  segmentSchema,
  turnSchema,
  mutationSchema,
  searchSchema,
  noteSchema,
]);
export type MemoryRecord = z.infer<typeof memoryRecordSchema>;
