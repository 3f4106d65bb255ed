import * as z from 'zod/mini';

/** Answers of LMCache's coordinator (`lmcache coordinator` 0.5.6, v1/mp_coordinator/schemas.py), in the parts that this client uses. */

const placementSchema = z.object({ instance_id: z.string(), tier: z.string() });

export const lookupSchema = z.object({
  /** Pieces of the whole sequence. */
  chunks: z.number(),
  /** One for each part of each piece, in the order of the pieces: every worker of a model in several parts stores its own. */
  results: z.array(z.object({ key: z.object({ chunk_hash_hex: z.string() }), placements: z.array(placementSchema) })),
});

export const instancesSchema = z.object({ instances: z.array(z.object({ instance_id: z.string() })) });

/** Parts of pieces are counted whether they are stored or not. */
export const pinsSchema = z.object({ affected: z.number() });

/** The id is empty when there was nothing to load. */
export const submittedSchema = z.object({ request_id: z.string() });

export const prefetchSchema = z.object({ status: z.string() });

export const deletedSchema = z.object({ affected: z.number() });
