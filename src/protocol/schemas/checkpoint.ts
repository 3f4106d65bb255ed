import * as z from 'zod/mini';
import { receiptSchema } from './receipt.ts';
import { kvRecordSchema, windowManifestSchema } from './window.ts';

/**
 * The rolling checkpoint of a session: as much as a window has, but for the token ids, which the session's own log has. It is made without
 * being asked for, and the next one takes its place. Its manifest's name and tags are for receipts only; no list has it.
 */
export const checkpointSchema = z.object({
  manifest: windowManifestSchema,
  kv: kvRecordSchema,
  /** Of when it was made: what it cost, and what computing the context would cost. */
  receipt: receiptSchema,
  /** How many checkpoints its session had, this one among them. The first stores have none. */
  count: z.optional(z.number()),
});
export type Checkpoint = z.infer<typeof checkpointSchema>;

/** Why the size of a session triggers a checkpoint, or does not. */
export const checkpointReasons = ['disabled', 'unchanged', 'below', 'cooldown', 'threshold', 'token-count'] as const;
export type CheckpointReason = (typeof checkpointReasons)[number];
