import * as z from 'zod/mini';

/** Figures of a session's memory (S1-71). Shares are 0 to 1, and null where nothing was counted. */
export const memoryStatsSchema = z.object({
  /** Pages of the conversation, those that stand for others among them. */
  pages: z.number(),
  byTier: z.object({ L0: z.number(), L1: z.number(), L2: z.number(), L3: z.number(), L4: z.number() }),
  byModality: z.object({
    text: z.number(),
    image: z.number(),
    audio: z.number(),
    video: z.number(),
    structured: z.number(),
  }),
  byKind: z.object({
    transcript: z.number(),
    summary: z.number(),
    artifact: z.number(),
    claim: z.number(),
    procedure: z.number(),
    index: z.number(),
  }),
  /** Tokens of the pages in the prompt, and how many of those pages nobody has counted yet. */
  tokensInPrompt: z.number(),
  uncounted: z.number(),
  /** What the limit leaves beside the last prompt and its answer; null: nobody knows. */
  tokensFree: z.nullable(z.number()),
  /** Look-ups of pages by name that needed no search, and that did. */
  tlbHits: z.number(),
  tlbMisses: z.number(),
  /** Messages that left; pages of them that a summary has whole or shortened; tokens that the prompt has fewer. */
  evictions: z.number(),
  compressions: z.number(),
  tokensSaved: z.number(),
  /** Pages that the model or the user asked for; by reason, also those that came by themselves. */
  faults: z.number(),
  faultsByReason: z.object({
    user_requested_recall: z.number(),
    resolve_reference: z.number(),
    tool_prereq: z.number(),
    speculative: z.number(),
  }),
  searches: z.number(),
  /** Share of the searches that found something. */
  recallSuccess: z.nullable(z.number()),
  /** Pages that came before a question which did not ask for them; how many of them its answer used, of those that are answered. */
  prefetches: z.number(),
  prefetchesUsed: z.number(),
  /** Share of the pages that came back which had left shortly before. */
  thrash: z.number(),
  /** Share of the counted tokens in the prompt that are what somebody said or gave, not what stands for it. */
  effective: z.nullable(z.number()),
});
export type MemoryStats = z.infer<typeof memoryStatsSchema>;
