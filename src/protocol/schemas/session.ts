import * as z from 'zod/mini';
import type { MessageId } from '../ids.ts';
import { lineageIdSchema, messageIdSchema, projectUriSchema, sessionIdSchema, windowNameSchema } from './ids.ts';
import { jsonObjectSchema } from './tracker.ts';
import { pendingToolsSchema, toolCallSchema, toolOutcomeSchema } from './toolCall.ts';
import { sessionSettingsSchema, systemPromptSchema } from './sessionSettings.ts';

/** A session's storage state (S0-30). */
export const lifecycles = ['active', 'frozen', 'thawed', 'expired', 'deleted'] as const;
export type Lifecycle = (typeof lifecycles)[number];

/** A session's turn state (S4-10). */
export const phases = [
  'Idle',
  'ProcessingUserMessage',
  'AwaitingLLMResponse',
  'StreamingLLMResponse',
  'ProcessingLLMResponse',
  'AwaitingToolApproval',
  'ExecutingTools',
  'TransientFailure',
  'PermanentFailure',
] as const;
export type Phase = (typeof phases)[number];
/** Phase of a new session. Later phases come from the turn machine alone. */
export const initialPhase: Phase = 'Idle';

export const messageRoles = ['system', 'user', 'assistant', 'tool'] as const;
export type MessageRole = (typeof messageRoles)[number];

/**
 * `limit`: at its limit of tokens. `stopped`: the user or the backend's end stopped it. `failed`: its stream was cut. `crashed`: the backend
 * was killed; up to half a second of it may be missing.
 */
export const cutReasons = ['limit', 'stopped', 'failed', 'crashed'] as const;
export type CutReason = (typeof cutReasons)[number];

const contextFileSchema = z.object({ path: z.string(), text: z.string() });
export type ContextFile = z.infer<typeof contextFileSchema>;

const imageTypes = ['image/png', 'image/jpeg', 'image/gif', 'image/webp'] as const;

/** A picture beside a message's text. Its hash is a part of what the KV of the conversation is known by. */
const pictureSchema = z.object({
  type: z.literal('image'),
  mediaType: z.enum(imageTypes),
  /** Of the picture's bytes, in hex. */
  sha256: z.string(),
  sizeBytes: z.number(),
  /** The bytes in base64; lists of messages leave them out. */
  data: z.optional(z.string()),
});
export type Picture = z.infer<typeof pictureSchema>;

/** What a part of a message that is no text may be. */
const partTypes = ['image', 'audio', 'video', 'file'] as const;

/**
 * A part of a message that is no text, as another program wrote it for its model server: sound, a moving picture, a picture, a file. Model servers
 * get it as it came. Its hash is a part of what the KV of the conversation is known by.
 */
const messagePartSchema = z.object({
  type: z.enum(partTypes),
  /** As its program says; null: it does not. */
  mediaType: z.nullable(z.string()),
  /** Of its bytes, in hex; of what names them, where it has none. */
  sha256: z.string(),
  /** Null: it only says where the bytes are. */
  sizeBytes: z.nullable(z.number()),
  /** Of a sound whose bytes tell it; left out: nobody knows. */
  durationSeconds: z.optional(z.number()),
  /** How many characters of the message's text stand in front of it. */
  at: z.number(),
  /** A content part of chat completions; lists of messages leave it out. */
  part: z.optional(jsonObjectSchema),
});
export type MessagePart = z.infer<typeof messagePartSchema>;

const calling = {
  /** What it says besides; often nothing. */
  text: z.string(),
  reasoning: z.optional(z.string()),
  calls: z.array(toolCallSchema),
};

/**
 * Characters of a long text that prompts have: its beginning and its end, around a sentence that names the message's page. The text itself
 * stays whole.
 */
const excerptSchema = z.object({ head: z.number(), tail: z.number() });
export type Excerpt = z.infer<typeof excerptSchema>;

/** What a message says. `context` is a set of files given to the model as they were at that moment. */
export const messageContentSchema = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('text'),
    text: z.string(),
    /** Pictures that the model sees before the text. */
    media: z.optional(z.array(pictureSchema)),
    /** Other parts, in their order among the texts. */
    parts: z.optional(z.array(messagePartSchema)),
    /** What the model wrote for itself before an answer. It is shown, and no part of any prompt. */
    reasoning: z.optional(z.string()),
    /** Left out: prompts have all of it. */
    excerpt: z.optional(excerptSchema),
  }),
  z.object({ type: z.literal('context'), files: z.array(contextFileSchema) }),
  /** An answer of a session that plans. The user can accept it. */
  z.object({ type: z.literal('plan'), text: z.string(), reasoning: z.optional(z.string()) }),
  /** The model calls tools. */
  z.object({ type: z.literal('tool-calls'), ...calling }),
  /** At least one of its calls asks the user. */
  z.object({ type: z.literal('question'), ...calling }),
  /** What came of one call, which stands in an earlier message. */
  z.object({
    type: z.literal('tool-result'),
    call: z.string(),
    name: z.string(),
    text: z.string(),
    outcome: toolOutcomeSchema,
    /** Left out: prompts have all of it. */
    excerpt: z.optional(excerptSchema),
  }),
  /** A message of a kind that this version does not know, as a later one stored it (S4-03). */
  z.object({ type: z.literal('unknown'), kind: z.string(), whole: jsonObjectSchema }),
]);
/** The kinds of messages that this version knows. */
export const messageContentTypes: ReadonlySet<string> = new Set(
  messageContentSchema.def.options.flatMap(({ shape }) => shape.type.def.values),
);
export type MessageContent = z.infer<typeof messageContentSchema>;

/** The token ids that the engine last saw for this session; a file named by `sha256` has them. */
export const contextTokensSchema = z.object({
  count: z.number(),
  sha256: z.string(),
  /**
   * `engine`: the server returned them. `tokenize`: worked out by a second call, which a chat template can make differ.
   * `none`: the server gives no ids at all, so that there are none.
   */
  source: z.enum(['engine', 'tokenize', 'none']),
  /** How many of the ids were the prompt; the rest is the answer. */
  promptCount: z.number(),
  /** Number of messages the ids cover. */
  messageCount: z.number(),
  /** The server computed only a part of the last prompt, without saying so. */
  cut: z.optional(z.object({ countedTokens: z.number(), sentTokens: z.number() })),
  /** SHA-256 of the system prompt that they begin with; left out: they have none. */
  system: z.optional(z.string()),
  /** The conversation has pictures. Token ids are the same for different pictures, so that none are stored. */
  media: z.optional(z.boolean()),
  /** Segments of virtual memory that they begin with, behind the system prompt; left out: none. */
  segments: z.optional(z.array(z.string())),
});
export type ContextTokens = z.infer<typeof contextTokensSchema>;

/** Tokens of one request to a model server. Null: it did not say. */
export const tokensTakenSchema = z.object({
  /** As the server names it. */
  model: z.string(),
  promptTokens: z.nullable(z.number()),
  /** Of the prompt, those that the server reused. */
  cachedTokens: z.nullable(z.number()),
  outputTokens: z.nullable(z.number()),
});
export type TokensTaken = z.infer<typeof tokensTakenSchema>;

/** By the user's price table (docs/space.md). */
export const costSchema = z.object({
  amount: z.number(),
  /** The table's label, like `EUR`; null: it has none. */
  currency: z.nullable(z.string()),
});
export type Cost = z.infer<typeof costSchema>;

/** One node of a session's pool. Immutable once written. */
export const messageSchema = z.object({
  id: messageIdSchema,
  role: z.enum(messageRoles),
  parentId: z.nullable(messageIdSchema),
  /** 1-based position in its conversation, without gaps. */
  sequence: z.number(),
  content: messageContentSchema,
  /** The token ids that the engine had seen when this message was stored: a branch that is made here continues from them. */
  context: z.optional(contextTokensSchema),
  /** What the request took that this message ends: of an answer, or of files that were computed. */
  taken: z.optional(tokensTakenSchema),
  /** Why an answer ended before its end. It can be continued. */
  cut: z.optional(z.enum(cutReasons)),
  /** The message with this id was found lost at this instant (ISO 8601): this text stands in its place. */
  lost: z.optional(z.string()),
  /** The message that this one is a copy of, by a merge. */
  copyOf: z.optional(messageIdSchema),
  createdAt: z.string(),
});
export type Message = z.infer<typeof messageSchema>;

/** A message as clients get it. */
export const shownMessageSchema = z.extend(messageSchema, {
  /** What `taken` cost. Null: its model has no price, or the model server did not count. */
  cost: z.optional(z.nullable(costSchema)),
});
export type ShownMessage = z.infer<typeof shownMessageSchema>;

/** A line of the conversation: each message names the one before it, so that its last message is all that a branch needs to name. */
export const branchSchema = z.object({
  name: z.string(),
  /** Its last message; null: it has none. */
  head: z.nullable(messageIdSchema),
  /** How many messages lead to `head`, that one included. */
  length: z.number(),
  /** The message that it was made at: what leads to it is shared. Null: it was not made from another branch, or begins with nothing. */
  parentMessageId: z.nullable(messageIdSchema),
  /** Token ids that the engine last saw of it, while another branch is active; those of the active one are the session's. */
  tokens: z.optional(contextTokensSchema),
  /** Instead of the session's. */
  systemPrompt: z.optional(systemPromptSchema),
});
export type Branch = z.infer<typeof branchSchema>;

export const modelIdentitySchema = z.object({
  id: z.string(),
  /** What the served name stands for: a path or repository id. */
  root: z.nullable(z.string()),
  maxModelLen: z.nullable(z.number()),
  /** A digest of the weights where the engine tells one. */
  fingerprint: z.nullable(z.string()),
  /** A digest of the LoRA adapters that change its weights, or `none`; absent where the engine does not tell. */
  adapters: z.optional(z.string()),
});
export type ModelIdentity = z.infer<typeof modelIdentitySchema>;

export const sessionSchema = z.object({
  id: sessionIdSchema,
  /** The id until the first message gives it a title, unless the user gave it one. */
  title: z.string(),
  description: z.optional(z.string()),
  tags: z.optional(z.array(z.string())),
  settings: z.optional(sessionSettingsSchema),
  /** Whether its KV is saved, and brought back, without being asked for. Default: yes. */
  recorded: z.optional(z.boolean()),
  /** Canonical folder URI, or null for a session of no project. */
  project: z.nullable(projectUriSchema),
  /** Engine of this session, as given to `--engine`: a URL, `embedded` or `embedded:FILE`. */
  engine: z.string(),
  /** Engines that it used before this one, and that may have KV of it, the last one first; at most 16. Default: none. */
  formerEngines: z.optional(z.array(z.string())),
  model: z.nullable(modelIdentitySchema),
  lineage: lineageIdSchema,
  lifecycle: z.enum(lifecycles),
  /** ISO 8601. An open session becomes `expired` at this instant: it takes no turn until it is opened again. Default: never. */
  expiresAt: z.optional(z.string()),
  phase: z.enum(phases),
  branches: z.record(z.string(), branchSchema),
  activeBranch: z.string(),
  tokens: z.nullable(contextTokensSchema),
  /** ISO 8601: when placeholders took the place of lost messages. Token ids of messages that are older may be those of the lost text. */
  placeholdersAt: z.optional(z.string()),
  /** Text of a turn that has begun and not ended: stored so that a failure or a crash loses no word. */
  draft: z.nullable(z.string()),
  /** Tool calls that the user must decide on, or that run. Default: none. */
  pendingTools: z.optional(pendingToolsSchema),
  /** Tools that the user approved for the rest of the session. Default: none. */
  approvedTools: z.optional(z.array(z.string())),
  /** Window this session was thawed from, and the verdict of that thaw. */
  thawedFrom: z.nullable(z.object({ window: windowNameSchema, verdict: z.string() })),
  /** Window of its project's base that it began with. Default: none. */
  base: z.optional(windowNameSchema),
  /** Window that froze it, while it is frozen. */
  frozenAs: z.nullable(windowNameSchema),
  /** How often a prompt left its predecessor's prefix. */
  prefixBreaks: z.number(),
  createdAt: z.string(),
  updatedAt: z.string(),
  /** Goes up by one with every change; a write that names an older one is refused with VersionConflict. */
  version: z.number(),
});
export type Session = z.infer<typeof sessionSchema>;

/** Where a prompt left the prefix of the one before it, so that KV from there on could not be reused. */
export const prefixBreakSchema = z.object({
  atToken: z.number(),
  lostTokens: z.number(),
  /** 1-based sequence of the message that the diverging token belongs to; null when it is unknown. */
  messageSequence: z.nullable(z.number()),
  likelyCause: z.string(),
});
export type PrefixBreak = z.infer<typeof prefixBreakSchema>;

/** What a session starts with; the rest is the same for every new one. */
export interface SessionStart
  extends
    Pick<Session, 'id' | 'title' | 'project' | 'engine' | 'lineage' | 'createdAt'>,
    Partial<
      Pick<
        Session,
        | 'description'
        | 'tags'
        | 'settings'
        | 'recorded'
        | 'model'
        | 'lifecycle'
        | 'expiresAt'
        | 'tokens'
        | 'thawedFrom'
        | 'base'
        | 'updatedAt'
      >
    > {
  /** Messages of its first branch, oldest first; default none. */
  readonly messageIds?: readonly MessageId[];
}

/** A whole session: version 1, at rest, with one branch. */
export const newSession = ({ messageIds = [], ...start }: SessionStart): Session => ({
  model: null,
  lifecycle: 'active',
  phase: initialPhase,
  branches: {
    main: { name: 'main', head: messageIds.at(-1) ?? null, length: messageIds.length, parentMessageId: null },
  },
  activeBranch: 'main',
  tokens: null,
  draft: null,
  thawedFrom: null,
  frozenAs: null,
  prefixBreaks: 0,
  updatedAt: start.createdAt,
  version: 1,
  ...start,
});
