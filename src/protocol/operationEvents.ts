import { readFields } from '../base/fields.ts';

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
export type OperationEvent =
  /** A step begins, in plain words. A slow client misses steps that others have replaced. */
  | { type: 'progress'; sequence: number; step: string }
  /** An answer is asked for: its chunks can be pulled by this id of its message, if this stream should break. */
  | { type: 'answer'; sequence: number; message: string }
  /**
   * The next piece of the answer. A client that is far too slow gets no further pieces, and the whole text in the result. `chunk`: sequence
   * of the last of the answer's chunks in it.
   */
  | { type: 'text'; sequence: number; text: string; chunk?: number | undefined }
  /** The same of what the model writes for itself before it answers. */
  | { type: 'reasoning'; sequence: number; text: string; chunk?: number | undefined }
  /** The same of a tool call: its name, then its arguments. */
  | { type: 'tool'; sequence: number; text: string; chunk?: number | undefined }
  /**
   * What the route promises, with one exception: `text` is left out when the `text` events are all of it. `signals` as
   * {@link signalsHeader}.
   */
  | { type: 'result'; sequence: number; result: unknown; signals?: number | undefined }
  /** An error report (`ErrorReport` in errors.ts). */
  | { type: 'error'; sequence: number; error: unknown };

const eventFields = {
  progress: { sequence: 'number', step: 'string' },
  answer: { sequence: 'number', message: 'string' },
  text: { sequence: 'number', text: 'string', chunk: 'number?' },
  reasoning: { sequence: 'number', text: 'string', chunk: 'number?' },
  tool: { sequence: 'number', text: 'string', chunk: 'number?' },
  result: { sequence: 'number', signals: 'number?' },
  error: { sequence: 'number' },
} as const satisfies Record<OperationEvent['type'], object>;

/** Null for what is no event of a known type: a later backend may have more of them. */
export function readOperationEvent(value: unknown): OperationEvent | null {
  const type = readFields(value, { type: 'string' })?.type ?? '';
  if (!Object.hasOwn(eventFields, type)) return null;
  return readFields(value, eventFields[type as OperationEvent['type']]) && (value as OperationEvent);
}
