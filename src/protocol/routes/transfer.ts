import * as z from 'zod/mini';
import { sessionSchema } from '../schemas/session.ts';
import { conversationFormats, exportFormats } from '../settings/conversationFormats.ts';
import { onEngine, text } from './fields.ts';
import type { Route, ShapesOf } from './route.ts';

export const transferRoutes = {
  importConversation: { kind: 'change', creates: true, audited: 'SESSION_CREATE', method: 'POST', path: '/api/import' },
  /** Reads a file of the user's, and takes from it what nobody can read. */
  importKv: { kind: 'change', streams: true, clients: 'own', method: 'POST', path: '/api/contexts/:session/kv/import' },
  /** Writes to a file of the user's, which is there already. */
  exportKv: { kind: 'change', streams: true, clients: 'own', method: 'POST', path: '/api/contexts/:session/kv/export' },
  exportConversation: { kind: 'read', method: 'GET', path: '/api/contexts/:session/export' },
} as const satisfies Record<string, Route>;

const kvInFile = () =>
  z.object({
    /** Of the beginning of the context, whose KV it is; 0: none. */
    tokens: z.number(),
    /** Of the whole context. */
    total: z.number(),
    bytes: z.number(),
    /** What was left out or set aside and why, in sentences. */
    notes: z.array(text),
  });

export const transferShapes = () =>
  ({
    importConversation: {
      summary: 'Create a session of a conversation that another program wrote',
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
    importKv: {
      summary: 'Take the KV in a file for an imported conversation',
      input: z.object({
        /** One that was imported, and that no model server has computed yet. */
        session: text,
        /** Absolute path of the file on the backend's machine. */
        path: text,
        /** Where the KV begins in it: behind the text, in bytes. */
        offset: z.number(),
        ...onEngine,
      }),
      output: kvInFile(),
    },
    exportKv: {
      summary: 'Write the KV of a conversation behind its text',
      input: z.object({
        session: text,
        /** Absolute path, on the backend's machine, of the file that has the text already. Default: nothing is written, only the size is told. */
        path: z.optional(text),
        ...onEngine,
      }),
      output: kvInFile(),
    },
    exportConversation: {
      summary: 'The conversation as a file',
      input: z.object({ session: text, format: z.enum(exportFormats) }),
      /** The file's text: JSON. */
      output: z.object({ content: text }),
    },
  }) as const satisfies ShapesOf<typeof transferRoutes>;
