import type { Readable } from 'node:stream';
import { createParser } from 'eventsource-parser';
import { CwmError } from '../../protocol/errors.ts';

/** The first event of a chat holds all prompt ids: 128K of them are about 1 MB. */
const maxEventChars = 16 * 1024 * 1024;
const endMark = '[DONE]';

/**
 * The data of each server-sent event up to `[DONE]`, which is not given. Comments and other fields are left out.
 * `onChunk` is called when the events of a piece have been dealt with. The body is left open: what follows the end mark is the caller's to read or to drop.
 *
 * @throws CwmError StreamCut when the stream ends without `[DONE]`, EngineFailed when one event is beyond any honest size.
 */
export async function* readEvents(body: Readable, onChunk: () => void, label: string): AsyncGenerator<string> {
  const ready: string[] = [];
  let overflow = false;
  const parser = createParser({
    maxBufferSize: maxEventChars,
    onEvent: ({ data }) => ready.push(data),
    onError: ({ type }) => (overflow ||= type === 'max-buffer-size-exceeded'),
  });
  const decoder = new TextDecoder();
  for await (const chunk of body.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>) {
    parser.feed(decoder.decode(chunk, { stream: true }));
    if (overflow)
      throw new CwmError('EngineFailed', `The model server at ${label} sent an event that is far too large.`);
    for (const data of ready.splice(0)) {
      if (data === endMark) return;
      yield data;
    }
    onChunk();
  }
  throw new CwmError('StreamCut', `The model server at ${label} ended its stream in the middle of the answer.`);
}
