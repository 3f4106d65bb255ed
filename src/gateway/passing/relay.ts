import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import { EventSplitter } from '../formats/streams/eventSplitter.ts';
import { CwmError } from '../../protocol/errors.ts';
import { endedEarly } from '../formats/answerError.ts';
import type { AnswerStream } from '../formats/format.ts';

/** The connection to a model server ended in the middle of an answer. */
export const brokenOff = (cause: unknown): CwmError =>
  new CwmError('EngineUnavailable', endedEarly.message, {
    hint: 'Look whether it still runs, and send the request again.',
    context: { retry_after_seconds: 5 },
    cause,
  });

/**
 * Passes a stream of events on, each one when it is there: nothing waits for the next one.
 *
 * @param onFirst called before anything is written.
 * @throws CwmError EngineUnavailable where `body` breaks off.
 */
export async function relayEvents(
  body: Readable,
  res: ServerResponse,
  tap: Pick<AnswerStream, 'event' | 'end'>,
  onFirst: () => void,
): Promise<void> {
  const splitter = new EventSplitter();
  await relayed(body, res, (chunk) => {
    onFirst();
    let passed = '';
    for (const event of splitter.push(chunk)) passed += tap.event(event) ?? '';
    return passed;
  });
  onFirst();
  const rest = splitter.end();
  const passed = rest === null ? null : tap.event(rest);
  await write(res, (passed ?? '') + tap.end());
}

/** With a listener: a stream in a loop costs as much for each chunk as all the rest. */
function relayed(body: Readable, res: ServerResponse, pass: (chunk: Uint8Array) => string): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (error: unknown): void => {
      body.destroy();
      reject(error instanceof Error ? error : new Error(String(error)));
    };
    body.on('data', (chunk: Uint8Array) => {
      try {
        const passed = pass(chunk);
        if (passed === '' || res.destroyed || res.write(passed)) return;
        body.pause();
        void drained(res).then(() => body.resume());
      } catch (error) {
        fail(error);
      }
    });
    body.once('end', resolve);
    body.once('error', (cause) => reject(brokenOff(cause)));
    body.once('close', () => reject(brokenOff(new Error('The stream was closed before its end.'))));
  });
}

/** Of a body that only passes, so many bytes at most are read: the words of an error are shorter. */
const mostSaidBytes = 4096;

/** Passes any other body on as it is. @returns how it begins. */
export async function relayBody(body: Readable, res: ServerResponse): Promise<string> {
  const first: Buffer[] = [];
  let left = mostSaidBytes;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    if (left > 0) first.push(chunk.subarray(0, left));
    left -= chunk.length;
    await write(res, chunk);
  }
  return Buffer.concat(first).toString('utf8');
}

/** A client that takes nothing for so long has left, although its connection stands: its answer holds the model server for others. */
export const mostStallMs = 5 * 60_000;

/** A client that reads slowly slows the server down, so that nothing piles up here. */
async function write(res: ServerResponse, data: string | Uint8Array): Promise<void> {
  if (data.length === 0 || res.destroyed || res.write(data)) return;
  await drained(res);
}

/** For who writes without waiting, as the pieces of one answer come: a client that takes nothing of them has left. */
export function writeSoon(res: ServerResponse, data: string): void {
  if (data === '' || res.destroyed) return;
  const wasFull = res.writableNeedDrain;
  if (!res.write(data) && !wasFull) void drained(res);
}

async function drained(res: ServerResponse): Promise<void> {
  const isOver = new AbortController();
  const { signal } = isOver;
  const stalled = setTimeout(() => res.destroy(), mostStallMs);
  try {
    await Promise.race([once(res, 'drain', { signal }), once(res, 'close', { signal })]);
  } finally {
    clearTimeout(stalled);
    isOver.abort();
  }
}
