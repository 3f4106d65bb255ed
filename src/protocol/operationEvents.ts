import * as z from 'zod/mini';

/** What a client asks for, by `accept`, that wants an operation's progress and text beside its result. */
export const eventStreamType = 'text/event-stream';

/**
 * Request header with the operation's id, which the client makes: 1 to 64 letters, digits and hyphens. The answer repeats it, and the
 * backend's log names it with a failure. Default: none.
 */
export const operationHeader = 'x-cwm-operation';

/**
 * Answer header of a change: the sequence of the last signal that its writes caused. A client that has heard the signals up to
 * there, and has pulled what they name, shows the change.
 */
export const signalsHeader = 'x-cwm-signals';

/**
 * One event of an operation that streams (SSE), on the answer to its own request. `sequence` counts from 0 without gaps; `result` or
 * `error` is the last event, and the only one of its kind.
 */
export const operationEventSchema = z.discriminatedUnion('type', [
  /** A step begins, in plain words. A slow client misses steps that others have replaced. */
  z.object({ type: z.literal('progress'), sequence: z.number(), step: z.string() }),
  /** The next piece of the answer. A client that is far too slow gets no further pieces, and the whole text in the result. */
  z.object({ type: z.literal('text'), sequence: z.number(), text: z.string() }),
  /**
   * What the route promises, with one exception: `text` is left out when the `text` events are all of it. `signals` as
   * {@link signalsHeader}.
   */
  z.object({ type: z.literal('result'), sequence: z.number(), result: z.unknown(), signals: z.optional(z.number()) }),
  /** An error report (`ErrorReport` in errors.ts). */
  z.object({ type: z.literal('error'), sequence: z.number(), error: z.unknown() }),
]);
export type OperationEvent = z.infer<typeof operationEventSchema>;
