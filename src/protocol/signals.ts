import * as z from 'zod/mini';

const text = z.string();

/** Path of the event stream (SSE): each event's data is a {@link signalSchema}, its id the sequence. */
export const eventsPath = '/api/events';

/**
 * What changed, never the data itself: the client pulls that (S4-40). A signal is under 1 KB. `sequence` grows by one with each signal
 * of a backend. A client that reconnects with `Last-Event-ID` gets the signals it missed, or one `resync` when they are gone.
 */
export const signalSchema = z.object({
  sequence: z.number(),
  change: z.discriminatedUnion('type', [
    /** A session's record, or that the session is gone or back. `version`: that of the record, where it has one. */
    z.object({ type: z.literal('session'), session: text, version: z.optional(z.number()) }),
    /** What clients store with a session, its recovery points, or whether it is selected. */
    z.object({ type: z.literal('state'), session: text }),
    z.object({ type: z.literal('window'), window: text }),
    z.object({ type: z.literal('engine'), spec: text }),
    z.object({ type: z.literal('project'), project: text }),
    z.object({ type: z.literal('heartbeat') }),
    z.object({ type: z.literal('resync') }),
  ]),
});
export type Signal = z.infer<typeof signalSchema>;
export type Change = Signal['change'];
