import * as z from 'zod/mini';

/*
 * What LMCache's coordinator answers (`lmcache coordinator`, its documentation of 2026-09, mp/coordinator.rst). Only what is used.
 */

const placementSchema = z.object({ instance_id: z.string(), tier: z.string() });

export const lookupSchema = z.object({
  /** Pieces of the whole sequence. */
  chunks: z.number(),
  /** Those that are somewhere, in order. */
  results: z.array(z.object({ placements: z.array(placementSchema) })),
});

export const pinsSchema = z.object({ requested: z.number(), affected: z.number() });

export const submittedSchema = z.object({ request_id: z.nullish(z.string()), chunks: z.number(), status: z.string() });

export const prefetchSchema = z.object({ status: z.string(), found_keys: z.nullish(z.number()) });

export const deletedSchema = z.object({ affected: z.number(), skipped: z.nullish(z.number()) });
