import * as z from 'zod/mini';
import { agentRoles, sessionModes, vmModes } from '../settings/sessionChoices.ts';
import { promptIdSchema } from './ids.ts';
import { toolSettingsSchema } from './toolCall.ts';

export const maxAnswerTokens = 32_768;
const maxStops = 8;

const temperature = z.number().check(z.minimum(0), z.maximum(2));
const topP = z.number().check(z.positive(), z.maximum(1));
const maxTokens = z.int().check(z.minimum(1), z.maximum(maxAnswerTokens));
const stop = z.array(z.string().check(z.minLength(1), z.maxLength(200))).check(z.maxLength(maxStops));
const seed = z.int().check(z.minimum(0), z.maximum(2 ** 31 - 1));

/** How answers are drawn. A field that is left out has its default. */
const samplingSchema = z.object({
  /** 0 to 2; default 0, greedy: the same context gives the same answer. */
  temperature: z.optional(temperature),
  /** Share of the probability to draw from, above 0 and up to 1; default 1. */
  topP: z.optional(topP),
  /** Longest answer; default 256. */
  maxTokens: z.optional(maxTokens),
  /** Texts that end an answer; they are no part of it. Default none. */
  stop: z.optional(stop),
  /** Draws are the same for the same seed. Default: another one for each answer. */
  seed: z.optional(seed),
});
export type Sampling = z.infer<typeof samplingSchema>;

/** A change of sampling: null gives a field its default again; a field that is left out stays. */
export const samplingChangeSchema = z.object({
  temperature: z.optional(z.nullable(temperature)),
  topP: z.optional(z.nullable(topP)),
  maxTokens: z.optional(z.nullable(maxTokens)),
  stop: z.optional(z.nullable(stop)),
  seed: z.optional(z.nullable(seed)),
});
export type SamplingChange = z.infer<typeof samplingChangeSchema>;

/** A named prompt as it was when the session took it: a later change of the named one does not reach the session. */
export const systemPromptSchema = z.object({ id: promptIdSchema, text: z.string() });
export type SystemPrompt = z.infer<typeof systemPromptSchema>;

/** Virtual memory: a conversation that is longer than the model's context continues, and what leaves the prompt can come back. */
export const memorySettingsSchema = z.object({
  enableVm: z.boolean(),
  /** The most tokens of a request, its answer included: 512 or more. Default, and at most: the length of the model's context. */
  maxL0Tokens: z.optional(z.int().check(z.minimum(512))),
  /** Name of the policy that decides what leaves. Default `kv-aware`. */
  policy: z.optional(z.string().check(z.minLength(1), z.maxLength(64))),
  /** Default `relaxed`. */
  vmMode: z.optional(z.enum(vmModes)),
});
export type MemorySettings = z.infer<typeof memorySettingsSchema>;

/** What a session's answers depend on besides its messages and its model. */
export const sessionSettingsSchema = z.object({
  /** Default: none. */
  systemPrompt: z.optional(systemPromptSchema),
  sampling: z.optional(samplingSchema),
  /** Default `act`. */
  mode: z.optional(z.enum(sessionModes)),
  /** Default `actor`. */
  role: z.optional(z.enum(agentRoles)),
  /** Default: it has no tools. */
  tools: z.optional(toolSettingsSchema),
  /** Default: it has no virtual memory. */
  memory: z.optional(memorySettingsSchema),
  /** Whether what is remembered stands in front of its first message. Default: no. */
  memories: z.optional(z.boolean()),
});
export type SessionSettings = z.infer<typeof sessionSettingsSchema>;

/** A system prompt that sessions can be given by its id. */
export const namedPromptSchema = z.object({ id: promptIdSchema, text: z.string(), updatedAt: z.string() });
export type NamedPrompt = z.infer<typeof namedPromptSchema>;

/** What a change costs whose next prompt does not begin with the token ids that the model server saw last. */
export const prefixCostSchema = z.object({
  /** Tokens that would be computed again. */
  lostTokens: z.number(),
  /** Tokens at the beginning that can still be reused. */
  keptTokens: z.number(),
});
export type PrefixCost = z.infer<typeof prefixCostSchema>;
