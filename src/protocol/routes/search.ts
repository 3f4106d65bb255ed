import * as z from 'zod/mini';
import { modalities } from '../memory/page.ts';
import { foundMessageSchema, foundPageSchema } from '../schemas/search.ts';
import { page, queryNumber, text } from './fields.ts';
import type { Route, ShapesOf } from './route.ts';

export const searchRoutes = {
  /** Everything that was ever said, on every branch of every session; best first. */
  searchMessages: { kind: 'read', method: 'GET', path: '/api/search' },
  /** What has to do with a question, in any words; best first. */
  searchPages: { kind: 'read', method: 'GET', path: '/api/search/pages' },
} as const satisfies Record<string, Route>;

export const searchShapes = () =>
  ({
    searchMessages: {
      summary: 'Full-text search over every message of every branch',
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
    searchPages: {
      summary: 'Find what has to do with a question, in any words',
      input: z.object({
        /** A question, or words of which any may occur, with any ending. */
        text,
        project: z.optional(text),
        session: z.optional(text),
        modality: z.optional(z.enum(modalities)),
        /** 1 to 100; default 5. */
        limit: queryNumber,
      }),
      /** `total`: messages that were ranked. */
      output: z.object({ items: z.array(foundPageSchema()), total: z.number() }),
    },
  }) as const satisfies ShapesOf<typeof searchRoutes>;
