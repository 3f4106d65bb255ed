import * as z from 'zod/mini';
import { toolPolicies } from '../settings/sessionChoices.ts';

/** What the model wants to know of the user. */
const questionSchema = z.object({
  text: z.string(),
  /** Answers that it proposes; the user may give another. Default: none. */
  choices: z.optional(z.array(z.string())),
});
export type Question = z.infer<typeof questionSchema>;

/** What a model asks a tool for. */
export const toolCallSchema = z.object({
  /** Unique in its message; results name it. */
  id: z.string(),
  /** As the model wrote it: there may be no such tool. */
  name: z.string(),
  /** JSON as the model wrote it, which may be wrong. */
  arguments: z.string(),
  /** It asks the user. Left out: it calls another tool. */
  question: z.optional(questionSchema),
});
export type ToolCall = z.infer<typeof toolCallSchema>;

/**
 * `done`, `failed`: what the tool says of itself, or that it did not answer in time. `denied`: the user, or the session's role, did not allow
 * it. `interrupted`: the turn ended first; whether the tool did anything is not known.
 */
const toolOutcomes = ['done', 'failed', 'denied', 'interrupted'] as const;
export const toolOutcomeSchema = z.enum(toolOutcomes);

export const pendingCallSchema = z.extend(toolCallSchema, {
  /** Why the user is asked, in plain words; left out: it runs without a question. */
  why: z.optional(z.string()),
  /** Left out: the user has not decided, or need not. */
  decision: z.optional(z.enum(['approved', 'denied'])),
  /** The user's answer to the call's question. */
  answer: z.optional(z.string()),
  /** What the model is told of a denial. */
  reason: z.optional(z.string()),
});
export type PendingCall = z.infer<typeof pendingCallSchema>;

/** Tool calls of the last message that have no result yet. */
export const pendingToolsSchema = z.object({
  calls: z.array(pendingCallSchema),
  /** Rounds of tool calls since the user's last message, this one included. */
  round: z.number(),
});
export type PendingTools = z.infer<typeof pendingToolsSchema>;

const policy = z.enum(toolPolicies);
const toolNames = z.array(z.string().check(z.minLength(1), z.maxLength(128))).check(z.maxLength(200));

/** A session that has these may call tools. */
export const toolSettingsSchema = z.object({
  policy,
  /** Of the white list. Default none. */
  allowed: z.optional(toolNames),
  /** Of `auto-loop`: 1 to 20, default 5. */
  rounds: z.optional(z.int().check(z.minimum(1), z.maximum(20))),
  /** How long a tool may take, in seconds: 1 to 600, default 30. */
  timeoutSeconds: z.optional(z.int().check(z.minimum(1), z.maximum(600))),
});
export type ToolSettings = z.infer<typeof toolSettingsSchema>;
