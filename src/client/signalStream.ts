import { createParser } from 'eventsource-parser';
import { eventsPath, readSignal, type Signal } from '../protocol/signals.ts';
import { clientHeader, type BackendRecord } from '../protocol/backendRecord.ts';
import { openResponse } from './transport.ts';

/** The backend sends a heartbeat every 30 s. A connection that misses two of them is dead. */
const silenceMs = 75_000;

export interface SignalSource {
  readonly record: BackendRecord;
  readonly lastSequence: number | null;
  readonly client?: string | undefined;
}

/**
 * Reads the signals after `lastSequence` until the connection ends. Heartbeats are signals here: the first one has the number that a
 * first connection starts from.
 *
 * @param source `lastSequence` is null on a first connection; `client` is who reads, by its own account.
 * @param onOpen is called when the backend has accepted the connection.
 * @throws TransportError, or the signal's reason. It returns when the backend ends the stream.
 */
export async function readSignals(
  source: SignalSource,
  onOpen: () => void,
  onSignal: (signal: Signal) => void,
  signal: AbortSignal,
): Promise<void> {
  const { record, lastSequence, client } = source;
  const silence = new AbortController();
  let timer = setTimeout(() => silence.abort(), silenceMs).unref();
  const parser = createParser({
    onEvent: ({ data }) => {
      const heard = readSignal(JSON.parse(data));
      if (heard) onSignal(heard);
    },
  });
  try {
    const headers = {
      accept: 'text/event-stream',
      ...(client !== undefined && { [clientHeader]: client }),
      ...(lastSequence === null ? {} : { 'last-event-id': String(lastSequence) }),
    };
    const ended = AbortSignal.any([signal, silence.signal]);
    const response = await openResponse(record, { method: 'GET', path: eventsPath, headers }, ended);
    if (response.statusCode !== 200) return void response.resume();
    onOpen();
    response.setEncoding('utf8');
    for await (const chunk of response) {
      clearTimeout(timer);
      timer = setTimeout(() => silence.abort(), silenceMs).unref();
      parser.feed(chunk as string);
    }
  } finally {
    clearTimeout(timer);
  }
}
