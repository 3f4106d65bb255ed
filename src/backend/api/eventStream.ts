import type { Context } from 'hono';
import { streamSSE } from 'hono/streaming';
import type { Disposable } from '../../base/disposable.ts';
import { CwmError } from '../../protocol/errors.ts';
import { parseSessionId } from '../../protocol/ids.ts';
import type { NamedEvent, Signal } from '../../protocol/signals.ts';
import type { ContentDelta, NamedEvents, Numbered, SignalBus } from './signalBus.ts';

/** The longest silence of a stream. A client takes a longer one for a dead connection. */
const heartbeatIntervalMs = 30_000;
/** So much text is written at once; a slow reader holds no more than this besides. */
const mostAtOnce = 64 * 1024;
/** Pieces that wait for a slow reader. It finds the gap in their numbers and pulls. */
const mostDeltas = 256;
/** A larger piece is not told: an event is under 1 KB. */
const mostDeltaBytes = 900;

export interface Buses {
  readonly signals: SignalBus;
  readonly events: NamedEvents;
}

/**
 * Answers `GET /api/events`: what happened after `Last-Event-ID`, then each new event, and a heartbeat after 30 s of silence. A client
 * without `Last-Event-ID` first gets a heartbeat with the number that its events start from. Without `named` these are the signals of the
 * product's own clients, with it the events of the API that other programs know: `session` leaves out those of other sessions, `delta` adds
 * the pieces of answers.
 *
 * The stream reads from the bus at the client's pace, so nothing piles up for a slow client.
 *
 * @param ended ends the stream when aborted.
 * @param onClosed is called once, when the client is gone or the stream has ended.
 * @throws CwmError InvalidParameter, InvalidSessionId.
 */
export function streamEvents(
  c: Context,
  { signals, events }: Buses,
  ended: AbortSignal,
  onClosed: () => void,
): Response {
  const session = c.req.query('session');
  if (session !== undefined) parseSessionId(session);
  if (!flag(c, 'named')) {
    return streamFrom(c, { bus: signals, text: textOfSignal, heartbeat: { type: 'heartbeat' } }, ended, onClosed);
  }
  const isMeant = ({ data }: NamedEvent): boolean =>
    session === undefined || !('context_id' in data) || data.context_id === session;
  const deltas = flag(c, 'delta') ? new Deltas(events, isMeant) : null;
  const source: Source<NamedEvent> = {
    bus: events.bus,
    text: (event) => (isMeant(event.change) ? textOfEvent(event) : ''),
    get heartbeat() {
      return { name: 'Heartbeat', data: { timestamp: new Date().toISOString() } } as const;
    },
    ...(deltas && { extra: deltas }),
  };
  return streamFrom(c, source, ended, () => {
    deltas?.dispose();
    onClosed();
  });
}

interface Source<Item> {
  readonly bus: SignalBus<Item>;
  readonly text: (item: Numbered<Item>) => string;
  readonly heartbeat: Item;
  /** What comes without a number. */
  readonly extra?: { take(): string; onAdded(listener: () => void): Disposable };
}

function streamFrom<Item>(c: Context, source: Source<Item>, ended: AbortSignal, onClosed: () => void): Response {
  const { bus, extra } = source;
  const lastSeen = parseSequence(c.req.header('last-event-id'));
  return streamSSE(c, async (stream) => {
    const closed = AbortSignal.any([ended, c.req.raw.signal]);
    let sequence = lastSeen ?? bus.head;
    const beat = () => stream.write(source.text({ sequence, change: source.heartbeat }));
    /** @returns whether there was anything. */
    const sendSome = async (): Promise<boolean> => {
      const before = sequence;
      let text = '';
      for (const item of bus.after(sequence)) {
        if (text.length > mostAtOnce) break;
        sequence = item.sequence;
        text += source.text(item);
      }
      text += extra?.take() ?? '';
      if (text !== '') await stream.write(text);
      return text !== '' || sequence !== before;
    };
    try {
      if (lastSeen === null) await beat();
      while (!closed.aborted) {
        if (await sendSome()) continue;
        const added = await addedWithin([bus, ...(extra ? [extra] : [])], heartbeatIntervalMs, closed);
        if (!added && !closed.aborted) await beat();
      }
    } finally {
      onClosed();
    }
  });
}

const textOfSignal = (signal: Signal): string => `data: ${JSON.stringify(signal)}\nid: ${signal.sequence}\n\n`;

const textOfEvent = ({ sequence, change: { name, data } }: Numbered<NamedEvent>): string =>
  `event: ${name}\ndata: ${JSON.stringify(data)}\nid: ${sequence}\n\n`;

/** The pieces that one reader has not got yet. */
class Deltas implements Disposable {
  readonly #events: NamedEvents;
  readonly #subscription: Disposable;
  #waiting: ContentDelta[] = [];

  constructor(events: NamedEvents, isMeant: (event: NamedEvent) => boolean) {
    this.#events = events;
    this.#subscription = events.deltas.subscribe((delta) => {
      if (isMeant(delta) && this.#waiting.length < mostDeltas) this.#waiting.push(delta);
    });
  }

  take(): string {
    const texts = this.#waiting.map(({ name, data }) => `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`);
    this.#waiting = [];
    return texts.filter((text) => Buffer.byteLength(text) <= mostDeltaBytes).join('');
  }

  onAdded(listener: () => void): Disposable {
    return this.#events.deltas.subscribe(listener);
  }

  dispose(): void {
    this.#subscription.dispose();
  }
}

function parseSequence(header: string | undefined): number | null {
  const sequence = header === undefined || header === '' ? Number.NaN : Number(header);
  return Number.isSafeInteger(sequence) ? sequence : null;
}

/** @throws CwmError InvalidParameter for a value that is none. */
function flag(c: Context, name: string): boolean {
  const given = c.req.query(name) ?? 'false';
  if (given === 'true' || given === 'false') return given === 'true';
  throw new CwmError('InvalidParameter', `"${name}" must be true or false.`);
}

interface Adding {
  onAdded(listener: () => void): Disposable;
}

/** Whether anything was added in this time. An abort ends the wait. */
function addedWithin(sources: readonly Adding[], timeoutMs: number, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const end = (added: boolean): void => {
      clearTimeout(timer);
      for (const subscription of subscriptions) subscription.dispose();
      signal.removeEventListener('abort', onAbort);
      resolve(added);
    };
    const onAbort = (): void => end(false);
    const subscriptions = sources.map((source) => source.onAdded(() => end(true)));
    const timer = setTimeout(end, timeoutMs, false);
    signal.addEventListener('abort', onAbort, { once: true });
  });
}
