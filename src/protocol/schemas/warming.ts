import * as z from 'zod/mini';
import { growing } from './growing.ts';
import { receiptSchema } from './receipt.ts';

const warmingStates = ['none', 'running', 'done', 'ask', 'stopped', 'failed'] as const;

/** The bringing back of a session's KV that nobody asked for. */
export const warmingSchema = z.object({
  /** `none`: it was not begun. `ask`: the KV is gone, and computing it takes long, so the user decides. */
  state: growing(warmingStates),
  /** In plain words. */
  why: z.string(),
  /** Of the context that was saved. */
  tokens: z.number(),
  /** That the session has gone on since: its next message computes them. */
  tokensBehind: z.number(),
  /** What computing `tokens` takes, in milliseconds, at the rate that was measured; null before any was. */
  computeMs: z.nullable(z.number()),
  kvBytes: z.nullable(z.number()),
  /** What loading `kvBytes` takes, in milliseconds, at the rate that was measured; null before any was. */
  loadMs: z.nullable(z.number()),
  /** Once it is done. */
  receipt: z.nullable(receiptSchema),
});
export type Warming = z.infer<typeof warmingSchema>;
