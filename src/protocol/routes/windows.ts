import * as z from 'zod/mini';
import { windowNameSchema } from '../schemas/ids.ts';
import { receiptSchema } from '../schemas/receipt.ts';
import { thawResultSchema } from '../schemas/turn.ts';
import { windowDetailsSchema, windowSummarySchema } from '../schemas/window.ts';
import { flag, onEngine, page, queryFlag, text } from './fields.ts';
import type { Route, ShapesOf } from './route.ts';

export const windowRoutes = {
  freeze: {
    kind: 'change',
    creates: true,
    streams: true,
    audited: 'WINDOW_FREEZE',
    method: 'POST',
    path: '/api/contexts/:session/freeze',
  },
  listWindows: { kind: 'read', method: 'GET', path: '/api/windows' },
  getWindow: { kind: 'read', method: 'GET', path: '/api/windows/:window' },
  thaw: { kind: 'change', streams: true, audited: 'WINDOW_THAW', method: 'POST', path: '/api/windows/:window/thaw' },
  clone: { kind: 'change', creates: true, audited: 'WINDOW_CLONE', method: 'POST', path: '/api/windows/:window/clone' },
  deleteWindow: { kind: 'change', audited: 'WINDOW_DELETE', method: 'DELETE', path: '/api/windows/:window' },
  pinWindow: { kind: 'change', method: 'POST', path: '/api/windows/:window/pin' },
} as const satisfies Record<string, Route>;

export const windowShapes = () =>
  ({
    freeze: {
      summary: 'Freeze a session as a window, or make a checkpoint',
      input: z.object({
        session: text,
        window: text,
        checkpoint: flag,
        description: z.optional(text),
        tags: z.optional(z.array(text)),
        /** Gives up the session's KV first, and computes its context again: what came with a file is gone then. Default: false. */
        recompute: flag,
        ...onEngine,
      }),
      output: receiptSchema,
    },
    listWindows: {
      summary: 'List windows',
      input: z.object({
        session: z.optional(text),
        project: z.optional(text),
        model: z.optional(text),
        /** Comma-separated. */
        tags: z.optional(text),
        search: z.optional(text),
        createdAfter: z.optional(text),
        createdBefore: z.optional(text),
        sortBy: z.optional(z.enum(['name', 'createdAt', 'tokens', 'kvBytes'])),
        order: z.optional(z.enum(['asc', 'desc'])),
        ...page,
      }),
      output: z.object({ items: z.array(windowSummarySchema), total: z.number(), hasMore: z.boolean() }),
    },
    getWindow: {
      summary: 'One window with its receipts',
      input: z.object({
        window: text,
        /** With the list of its KV block files. Default: false. */
        blocks: queryFlag,
      }),
      output: windowDetailsSchema,
    },
    thaw: {
      summary: 'Thaw a window',
      input: z.object({
        window: text,
        /** Thaw into a copy with this id. */
        session: z.optional(text),
        /** Thaw into a copy; default id `thaw-<window>-<stamp>`, cut to 64 characters. */
        copy: flag,
        /** Only continue the frozen session itself. */
        resume: flag,
        /** Thaw even if another model is served; the KV is then not used. */
        insist: flag,
        /** False opens the conversation and asks the model server nothing. Default true. */
        warm: flag,
        /** A message that the opened session sends. */
        prompt: z.optional(text),
        ...onEngine,
      }),
      output: thawResultSchema,
    },
    clone: {
      summary: 'Clone a window',
      input: z.object({
        window: text,
        target: text,
        description: z.optional(text),
        tags: z.optional(z.array(text)),
      }),
      output: receiptSchema,
    },
    deleteWindow: {
      summary: 'Delete a window',
      input: z.object({ window: text, keepBlocks: queryFlag }),
      output: z.object({
        window: windowNameSchema,
        blocksDeleted: z.number(),
        bytesFreed: z.number(),
        /** Blocks that stay because another window uses them too. */
        blocksKept: z.number(),
      }),
    },
    pinWindow: {
      summary: 'Pin or unpin a window',
      input: z.object({ window: text, pinned: z.boolean() }),
      output: z.object({ window: windowNameSchema, pinned: z.boolean() }),
    },
  }) as const satisfies ShapesOf<typeof windowRoutes>;
