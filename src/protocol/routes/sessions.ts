import * as z from 'zod/mini';
import { messageIdSchema, sessionIdSchema, windowNameSchema } from '../schemas/ids.ts';
import { lifecycles, phases, sessionSchema, shownMessageSchema } from '../schemas/session.ts';
import { pendingCallSchema, toolSettingsSchema } from '../schemas/toolCall.ts';
import { agentRoles, sessionModes } from '../settings/sessionChoices.ts';
import { unreachedSchema } from '../schemas/space.ts';
import { memorySettingsSchema, prefixCostSchema, samplingChangeSchema } from '../schemas/sessionSettings.ts';
import { flag, onEngine, page, queryFlag, text } from './fields.ts';
import type { Route, ShapesOf } from './route.ts';

export const sessionRoutes = {
  createSession: { kind: 'change', creates: true, audited: 'SESSION_CREATE', method: 'POST', path: '/api/contexts' },
  listSessions: { kind: 'read', method: 'GET', path: '/api/contexts' },
  getSession: { kind: 'read', method: 'GET', path: '/api/contexts/:session' },
  /**
   * Fields that are left out stay as they are. A change after which the model server must compute tokens again is refused with
   * PrefixWouldBreak, unless `breakPrefix` confirms it.
   */
  updateSession: { kind: 'change', audited: 'SESSION_STATE_CHANGE', method: 'PUT', path: '/api/contexts/:session' },
  /** `expiresAt`: ISO 8601, in the future; null is never. An expired session is open again. */
  setExpiry: { kind: 'change', audited: 'SESSION_STATE_CHANGE', method: 'POST', path: '/api/contexts/:session/expiry' },
  /** A person says to which project the session belongs from now on; null: to none. Its windows follow it. */
  moveSession: {
    kind: 'change',
    clients: 'own',
    audited: 'SESSION_STATE_CHANGE',
    method: 'POST',
    path: '/api/contexts/:session/project',
  },
  /**
   * A person moves the session to the base that its project has now: a new branch begins with it, and the one before stays. Refused with
   * PrefixWouldBreak where tokens must be computed again, unless `breakPrefix` confirms it.
   */
  moveToBase: {
    kind: 'change',
    clients: 'own',
    audited: 'SESSION_STATE_CHANGE',
    method: 'POST',
    path: '/api/contexts/:session/base',
  },
  deleteSession: { kind: 'change', audited: 'SESSION_DELETE', method: 'DELETE', path: '/api/contexts/:session' },
  listMessages: { kind: 'read', method: 'GET', path: '/api/contexts/:session/messages' },
  /** With the bytes of its pictures. */
  getMessage: { kind: 'read', method: 'GET', path: '/api/contexts/:session/messages/:message' },
  /** Where the session's turn is, and what it waits for. */
  turnState: { kind: 'read', method: 'GET', path: '/api/contexts/:session/state' },
} as const satisfies Record<string, Route>;

/** What a session is created with, and what can be changed later. */
const ownSettings = () => ({
  /** Default: the first words of the first message. */
  title: z.optional(text),
  description: z.optional(text),
  tags: z.optional(z.array(text)),
  /** Id of a named prompt; the session takes its text as it is now. Default `default`. */
  systemPrompt: z.optional(text),
  sampling: z.optional(samplingChangeSchema),
  mode: z.optional(z.enum(sessionModes)),
  role: z.optional(z.enum(agentRoles)),
  /** The tools that answers may call; null: none. Default null. */
  tools: z.optional(z.nullable(toolSettingsSchema)),
  /** Virtual memory; null: none. Default null. */
  memory: z.optional(z.nullable(memorySettingsSchema)),
  /** False: its KV is not saved, nor brought back, without being asked for, and its checkpoint is deleted. Only a person changes it. */
  recorded: z.optional(z.boolean()),
  ...onEngine,
});

/** A session's record; `answering`: id of the answer that comes at this moment. */
const shownSession = () => z.extend(sessionSchema, { answering: z.optional(messageIdSchema) });

export const sessionShapes = () =>
  ({
    createSession: {
      summary: 'Create a session',
      input: z.object({
        id: z.optional(text),
        ...ownSettings(),
        project: z.optional(z.nullable(text)),
        /** Do not begin with the project's base. */
        withoutBase: flag,
        /** Whether what is remembered stands in front of its first message. Default: as the project says, else no. */
        memories: flag,
        /** ISO 8601, in the future. Default: it never expires. */
        expiresAt: z.optional(text),
      }),
      /** `notes`: sentences for the user, for example that there are very many sessions. */
      output: z.extend(sessionSchema, { notes: z.optional(z.array(text)) }),
    },
    listSessions: {
      summary: 'List sessions',
      input: z.object({
        project: z.optional(text),
        /** Only sessions of no project. */
        withoutProject: queryFlag,
        lifecycle: z.optional(z.enum(lifecycles)),
        model: z.optional(text),
        search: z.optional(text),
        ...page,
      }),
      output: z.object({ items: z.array(shownSession()), total: z.number(), hasMore: z.boolean() }),
    },
    getSession: {
      summary: 'One session',
      input: z.object({ session: text }),
      output: shownSession(),
    },
    updateSession: {
      summary: "Change a session's settings",
      input: z.object({
        session: text,
        ...ownSettings(),
        breakPrefix: flag,
        /** Only finds out what the change costs. */
        preview: flag,
      }),
      /** `prefix`: what the change costs; null where the next prompt continues from the stored tokens. */
      output: z.extend(sessionSchema, { prefix: z.nullable(prefixCostSchema) }),
    },
    setExpiry: {
      summary: 'Set when a session expires, or open an expired one again',
      input: z.object({ session: text, expiresAt: z.nullable(text) }),
      output: sessionSchema,
    },
    moveSession: {
      summary: 'Move a session to another project, with its windows',
      input: z.object({ session: text, project: z.nullable(text) }),
      output: sessionSchema,
    },
    moveToBase: {
      summary: "Move a session to its project's renewed base",
      input: z.object({ session: text, breakPrefix: flag }),
      output: sessionSchema,
    },
    deleteSession: {
      summary: 'Move a session to the trash',
      input: z.object({
        session: text,
        cascade: queryFlag,
        /** Not into the trash: its text cannot be restored. Refused to programs that act without a person. */
        forever: queryFlag,
      }),
      output: z.object({
        /** Left out: none was deleted. */
        deletedWindows: z.optional(z.array(windowNameSchema)),
        /** Of files that no window and no other session needs. Left out: none. */
        kvBytesFreed: z.optional(z.number()),
        /** Model servers that may have KV of it still. Left out: none. */
        unreached: z.optional(z.array(unreachedSchema)),
      }),
    },
    listMessages: {
      summary: 'List messages of a branch, those that lead to one, or those that are named',
      input: z.object({
        session: text,
        /** Id of a message: the conversation that leads to it, whatever branch it is on. Default: the active branch. */
        upTo: z.optional(text),
        /** Name of a branch, instead of the active one. */
        branch: z.optional(text),
        /** Ids of messages, separated by commas: these, in this order, from whatever branch; at most 100. */
        ids: z.optional(text),
        ...page,
      }),
      output: z.object({
        items: z.array(shownMessageSchema),
        total: z.number(),
        hasMore: z.boolean(),
      }),
    },
    getMessage: {
      summary: 'One message',
      input: z.object({ session: text, message: text }),
      output: shownMessageSchema,
    },
    turnState: {
      summary: "Where the session's turn is, and what it waits for",
      input: z.object({ session: text }),
      output: z.object({
        session: sessionIdSchema,
        phase: z.enum(phases),
        lifecycle: z.enum(lifecycles),
        activeBranch: text,
        /** Version of the session's record. */
        version: z.number(),
        /** Whether a message would be taken now. */
        canSendMessage: z.boolean(),
        /** Tool calls that the user must decide on. */
        pendingToolApprovals: z.array(pendingCallSchema),
        /** Id of the answer that comes at this moment; null: none does. */
        answering: z.nullable(messageIdSchema),
      }),
    },
  }) as const satisfies ShapesOf<typeof sessionRoutes>;
