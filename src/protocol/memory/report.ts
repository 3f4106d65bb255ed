import * as z from 'zod/mini';

/** What memory did for one answer. */
export const memoryReportSchema = z.object({
  /** Tokens of the prompt. */
  sent: z.number(),
  /** Of those, the tokens that the server reused; null: it did not say. */
  reused: z.nullable(z.number()),
  /** Computed again only because memory changed the prompt. */
  recomputed: z.number(),
  /** Share of all prompt tokens of the session so far that the server reused, 0 to 1; null: it never said. */
  ratio: z.nullable(z.number()),
  /** The most tokens that a prompt may have beside its answer. */
  limit: z.number(),
  /** Messages that a segment took the place of in this turn, by their places in the conversation. Left out: none. */
  replaced: z.optional(
    z.object({ segment: z.string(), firstSequence: z.number(), lastSequence: z.number(), tokens: z.number() }),
  ),
});
export type MemoryReport = z.infer<typeof memoryReportSchema>;
