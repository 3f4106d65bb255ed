import * as z from 'zod/mini';
import { sessionSchema } from '../schemas/session.ts';
import { conversationFormats, exportFormats } from '../settings/conversationFormats.ts';
import { onEngine, text } from './fields.ts';
import type { Route, ShapesOf } from './route.ts';

export const transferRoutes = {
  importConversation: { kind: 'change', creates: true, audited: 'SESSION_CREATE', method: 'POST', path: '/api/import' },
  exportConversation: { kind: 'read', method: 'GET', path: '/api/contexts/:session/export' },
} as const satisfies Record<string, Route>;

export const transferShapes = () =>
  ({
    importConversation: {
      input: z.object({
        /** The file's text. */
        content: text,
        /** Default: the first one that fits. */
        format: z.optional(z.enum(conversationFormats)),
        id: z.optional(text),
        title: z.optional(text),
        project: z.optional(z.nullable(text)),
        ...onEngine,
      }),
      output: z.object({
        session: sessionSchema,
        format: z.enum(conversationFormats),
        messages: z.number(),
        /** What was left out or changed, in sentences. */
        notes: z.array(text),
      }),
    },
    exportConversation: {
      input: z.object({ session: text, format: z.enum(exportFormats) }),
      /** The file's text: JSON. */
      output: z.object({ content: text }),
    },
  }) as const satisfies ShapesOf<typeof transferRoutes>;
