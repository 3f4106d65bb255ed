import type { Context } from 'hono';
import { streamSSE } from 'hono/streaming';
import type { Signal } from '../../protocol/signals.ts';
import type { SignalBus } from './signalBus.ts';

/** The longest silence of a stream. A client takes a longer one for a dead connection. */
const heartbeatIntervalMs = 30_000;

/**
 * Answers `GET /api/events`: the signals after `Last-Event-ID`, then each new signal, and a heartbeat after 30 s of silence. A client
 * without `Last-Event-ID` first gets a heartbeat with the number that its signals start from.
 *
 * The stream reads from the bus at the client's pace, so nothing piles up for a slow client.
 *
 * @param ended ends the stream when aborted.
 * @param onClosed is called once, when the client is gone or the stream has ended.
 */
export function streamSignals(c: Context, bus: SignalBus, ended: AbortSignal, onClosed: () => void): Response {
  const lastSeen = parseSequence(c.req.header('last-event-id'));
  return streamSSE(c, async (stream) => {
    const closed = AbortSignal.any([ended, c.req.raw.signal]);
    let sequence = lastSeen ?? bus.head;
    const send = async (signal: Signal): Promise<void> => {
      sequence = signal.sequence;
      await stream.writeSSE({ id: String(signal.sequence), data: JSON.stringify(signal) });
    };
    try {
      if (lastSeen === null) await send(heartbeat(sequence));
      while (!closed.aborted) {
        for (const signal of bus.after(sequence)) {
          await send(signal);
          if (closed.aborted) return;
        }
        if (bus.after(sequence).length > 0) continue;
        const added = await addedWithin(bus, heartbeatIntervalMs, closed);
        if (!added && !closed.aborted) await send(heartbeat(sequence));
      }
    } finally {
      onClosed();
    }
  });
}

const heartbeat = (sequence: number): Signal => ({ sequence, change: { type: 'heartbeat' } });

function parseSequence(header: string | undefined): number | null {
  const sequence = header === undefined ? Number.NaN : Number(header);
  return Number.isSafeInteger(sequence) ? sequence : null;
}

/** Whether a signal was published in this time. An abort ends the wait. */
function addedWithin(bus: SignalBus, timeoutMs: number, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const end = (added: boolean): void => {
      clearTimeout(timer);
      subscription.dispose();
      signal.removeEventListener('abort', onAbort);
      resolve(added);
    };
    const onAbort = (): void => end(false);
    const subscription = bus.onAdded(() => end(true));
    const timer = setTimeout(end, timeoutMs, false);
    signal.addEventListener('abort', onAbort, { once: true });
  });
}
