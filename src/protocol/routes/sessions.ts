import * as z from 'zod/mini';
import { windowNameSchema } from '../schemas/ids.ts';
import { lifecycles, messageSchema, sessionSchema } from '../schemas/session.ts';
import { onEngine, page, queryFlag, route, text } from './route.ts';

export const sessionRoutes = {
  createSession: route({
    kind: 'change',
    audited: 'SESSION_CREATE',
    method: 'POST',
    path: '/api/contexts',
    input: z.object({
      id: z.optional(text),
      title: z.optional(text),
      project: z.optional(z.nullable(text)),
      /** ISO 8601, in the future. Default: it never expires. */
      expiresAt: z.optional(text),
      ...onEngine,
    }),
    /** `notes`: sentences for the user, for example that there are very many sessions. */
    output: z.extend(sessionSchema, { notes: z.optional(z.array(text)) }),
  }),
  listSessions: route({
    kind: 'read',
    method: 'GET',
    path: '/api/contexts',
    input: z.object({
      project: z.optional(text),
      lifecycle: z.optional(z.enum(lifecycles)),
      model: z.optional(text),
      search: z.optional(text),
      ...page,
    }),
    output: z.object({ items: z.array(sessionSchema), total: z.number(), hasMore: z.boolean() }),
  }),
  getSession: route({
    kind: 'read',
    method: 'GET',
    path: '/api/contexts/:session',
    input: z.object({ session: text }),
    output: sessionSchema,
  }),
  /** `expiresAt`: ISO 8601, in the future; null is never. An expired session is open again. */
  setExpiry: route({
    kind: 'change',
    audited: 'SESSION_STATE_CHANGE',
    method: 'POST',
    path: '/api/contexts/:session/expiry',
    input: z.object({ session: text, expiresAt: z.nullable(text) }),
    output: sessionSchema,
  }),
  deleteSession: route({
    kind: 'change',
    audited: 'SESSION_DELETE',
    method: 'DELETE',
    path: '/api/contexts/:session',
    input: z.object({ session: text, cascade: queryFlag }),
    output: z.object({ deletedWindows: z.array(windowNameSchema) }),
  }),
  listMessages: route({
    kind: 'read',
    method: 'GET',
    path: '/api/contexts/:session/messages',
    input: z.object({ session: text, ...page }),
    output: z.object({
      items: z.array(messageSchema),
      total: z.number(),
      hasMore: z.boolean(),
    }),
  }),
};
