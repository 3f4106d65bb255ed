import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import { EventSplitter } from '../formats/eventSplitter.ts';
import type { AnswerStream } from '../formats/format.ts';

/** Passes a stream of events on, each one when it is there: nothing waits for the next one. */
export async function relayEvents(
  body: Readable,
  res: ServerResponse,
  tap: Pick<AnswerStream, 'event' | 'end'>,
  onFirst: () => void,
): Promise<void> {
  const splitter = new EventSplitter();
  for await (const chunk of body) {
    onFirst();
    let passed = '';
    for (const event of splitter.push(chunk as Uint8Array)) passed += tap.event(event) ?? '';
    if (passed !== '') await write(res, passed);
  }
  const rest = splitter.end();
  const passed = rest === null ? null : tap.event(rest);
  await write(res, (passed ?? '') + tap.end());
}

/** Passes any other body on as it is. @returns its text, unless it is longer than `mostBytes`. */
export async function relayBody(body: Readable, res: ServerResponse, mostBytes = 64 << 20): Promise<string | null> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length <= mostBytes) chunks.push(chunk);
    await write(res, chunk);
  }
  return length <= mostBytes ? Buffer.concat(chunks).toString('utf8') : null;
}

/** A client that takes nothing for so long has left, although its connection stands: its answer holds the model server for others. */
export const mostStallMs = 5 * 60_000;

/** A client that reads slowly slows the server down, so that nothing piles up here. */
async function write(res: ServerResponse, data: string | Uint8Array): Promise<void> {
  if (data.length === 0 || res.destroyed) return;
  if (res.write(data)) return;
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
