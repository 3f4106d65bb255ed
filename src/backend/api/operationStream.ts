import type { Context } from 'hono';
import { streamSSE } from 'hono/streaming';
import type { Disposable } from '../../base/disposable.ts';
import type { Reporter } from '../../core/ports/reporter.ts';
import { toCwmError } from '../../protocol/errors.ts';
import type { OperationEvent } from '../../protocol/operationEvents.ts';
import { OperationOutbox } from './operationOutbox.ts';

type Unnumbered<Event> = Event extends OperationEvent ? Omit<Event, 'sequence'> : never;

export interface StreamedOperation {
  readonly run: (reporter: Reporter) => Promise<unknown>;
  /** Sequence of the last signal so far. */
  readonly signals: () => number;
  /** Receives a failure after the first event; the client gets it as an event. */
  readonly onFailed: (error: unknown) => void;
  /** Counts the stream as a user of the backend until it ends. */
  readonly enter: () => Disposable;
}

/**
 * Runs an operation and answers with its events ({@link OperationEvent}) at the client's pace: a slow client delays neither the operation
 * nor other clients.
 *
 * @throws what the operation throws before its first event: that failure gets a status of its own, as without a stream.
 */
export async function streamOperation(c: Context, operation: StreamedOperation): Promise<Response> {
  const outbox = new OperationOutbox();
  const work = operation.run(outbox).finally(() => outbox.close());
  work.catch(() => undefined);
  if (!(await outbox.hasMore())) await work;
  const user = operation.enter();
  return streamSSE(c, async (stream) => {
    let sequence = 0;
    const send = (event: Unnumbered<OperationEvent>): Promise<void> => {
      const numbered = { sequence: sequence++, ...event };
      return stream.writeSSE({ id: String(numbered.sequence), event: event.type, data: JSON.stringify(numbered) });
    };
    try {
      while (await outbox.hasMore()) for (const report of outbox.take()) await send(report);
      const result = withoutTaken(await work, outbox);
      await send({ type: 'result', result, signals: operation.signals() });
    } catch (error) {
      operation.onFailed(error);
      await send({ type: 'error', error: toCwmError(error).report() });
    } finally {
      user.dispose();
    }
  });
}

/** The text that the client has in pieces does not cross the socket again. */
function withoutTaken(result: unknown, outbox: OperationOutbox): unknown {
  if (typeof result !== 'object' || result === null || !('text' in result)) return result;
  const { text, ...rest } = result;
  // An answer that only calls tools had no pieces.
  return typeof text === 'string' && text !== '' && outbox.hasGiven(text) ? rest : result;
}
