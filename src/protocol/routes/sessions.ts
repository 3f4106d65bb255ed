import * as z from 'zod/mini';
import { windowNameSchema } from '../schemas/ids.ts';
import { lifecycles, messageSchema, sessionSchema } from '../schemas/session.ts';
import { onEngine, page, queryFlag, text } from './fields.ts';
import type { Route, ShapesOf } from './route.ts';

export const sessionRoutes = {
  createSession: { kind: 'change', audited: 'SESSION_CREATE', method: 'POST', path: '/api/contexts' },
  listSessions: { kind: 'read', method: 'GET', path: '/api/contexts' },
  getSession: { kind: 'read', method: 'GET', path: '/api/contexts/:session' },
  /** `expiresAt`: ISO 8601, in the future; null is never. An expired session is open again. */
  setExpiry: { kind: 'change', audited: 'SESSION_STATE_CHANGE', method: 'POST', path: '/api/contexts/:session/expiry' },
  deleteSession: { kind: 'change', audited: 'SESSION_DELETE', method: 'DELETE', path: '/api/contexts/:session' },
  listMessages: { kind: 'read', method: 'GET', path: '/api/contexts/:session/messages' },
} as const satisfies Record<string, Route>;

export const sessionShapes = () =>
  ({
    createSession: {
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
    },
    listSessions: {
      input: z.object({
        project: z.optional(text),
        lifecycle: z.optional(z.enum(lifecycles)),
        model: z.optional(text),
        search: z.optional(text),
        ...page,
      }),
      output: z.object({ items: z.array(sessionSchema), total: z.number(), hasMore: z.boolean() }),
    },
    getSession: { input: z.object({ session: text }), output: sessionSchema },
    setExpiry: { input: z.object({ session: text, expiresAt: z.nullable(text) }), output: sessionSchema },
    deleteSession: {
      input: z.object({ session: text, cascade: queryFlag }),
      output: z.object({ deletedWindows: z.array(windowNameSchema) }),
    },
    listMessages: {
      input: z.object({ session: text, ...page }),
      output: z.object({
        items: z.array(messageSchema),
        total: z.number(),
        hasMore: z.boolean(),
      }),
    },
  }) as const satisfies ShapesOf<typeof sessionRoutes>;
