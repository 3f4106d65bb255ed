import * as z from 'zod/mini';
import { foundMessageSchema } from '../schemas/search.ts';
import { page, text } from './fields.ts';
import type { Route, ShapesOf } from './route.ts';

export const searchRoutes = {
  /** Everything that was ever said, on every branch of every session; best first. */
  searchMessages: { kind: 'read', method: 'GET', path: '/api/search' },
} as const satisfies Record<string, Route>;

export const searchShapes = () =>
  ({
    searchMessages: {
      input: z.object({
        /** Words that must all occur, those in quotes one after another; the last one may be the beginning of a word. */
        text,
        project: z.optional(text),
        session: z.optional(text),
        ...page,
      }),
      /** `total` is at most 300. */
      output: z.object({ items: z.array(foundMessageSchema()), total: z.number(), hasMore: z.boolean() }),
    },
  }) as const satisfies ShapesOf<typeof searchRoutes>;
