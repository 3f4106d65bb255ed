import * as z from 'zod/mini';
import { verifyStepSchema } from '../schemas/health.ts';
import { pruneResultSchema, trashItemSchema, usageSchema } from '../schemas/space.ts';
import { flag, nothing, onEngine, queryFlag, text } from './fields.ts';
import type { Route, ShapesOf } from './route.ts';

export const spaceRoutes = {
  usage: { kind: 'read', method: 'GET', path: '/api/usage' },
  prune: { kind: 'change', method: 'POST', path: '/api/prune' },
  listTrash: { kind: 'read', method: 'GET', path: '/api/trash' },
  restoreFromTrash: { kind: 'change', method: 'POST', path: '/api/trash/:item/restore' },
  emptyTrash: { kind: 'change', clients: 'own', method: 'DELETE', path: '/api/trash' },
  verify: { kind: 'change', streams: true, allowedReadOnly: true, method: 'POST', path: '/api/verify' },
} as const satisfies Record<string, Route>;

export const spaceShapes = () =>
  ({
    usage: {
      summary: 'What takes the space, measured',
      input: nothing,
      output: usageSchema,
    },
    prune: {
      summary: 'Delete windows that nobody used for long',
      input: z.object({
        /** Windows that nobody used for this many days. */
        olderThanDays: z.optional(z.number()),
        /** Spares this many windows, the most recently used ones. With `olderThanDays` too, a window must meet both conditions to go. */
        keep: z.optional(z.number()),
        /** Changes nothing and answers what would go. */
        dryRun: flag,
      }),
      output: pruneResultSchema,
    },
    listTrash: {
      summary: 'List deleted items',
      input: nothing,
      output: z.object({ items: z.array(trashItemSchema) }),
    },
    restoreFromTrash: {
      summary: 'Restore a deleted item',
      input: z.object({ item: text }),
      output: trashItemSchema,
    },
    emptyTrash: {
      summary: 'Remove deleted items for good',
      /** `all`: also items that were deleted less than seven days ago. */
      input: z.object({ all: queryFlag }),
      output: z.object({ items: z.array(trashItemSchema), bytesFreed: z.number() }),
    },
    verify: {
      summary: 'Read every record and every KV block that can be read',
      /** `repair`: repairs what can be repaired, then verifies again. */
      input: z.object({ window: z.optional(text), repair: flag, ...onEngine }),
      /** `repairs`: each repair in a sentence. */
      output: z.object({ steps: z.array(verifyStepSchema), healthy: z.boolean(), repairs: z.array(text) }),
    },
  }) as const satisfies ShapesOf<typeof spaceRoutes>;
